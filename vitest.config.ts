import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["*.test.ts", "src/**/*.test.ts", "test/**/*.test.ts"],
    pool: "forks", // koffi holds native handles: one process a worker
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});

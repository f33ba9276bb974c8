import { availableParallelism } from "node:os";
import { expect, test } from "vitest";
import { defaultThreads, processorList } from "./threads.js";

test("lists of processors", () => {
  expect(processorList("0-3")).toEqual([0, 1, 2, 3]);
  expect(processorList("0,4-5,7\n")).toEqual([0, 4, 5, 7]);
});

test("threads lie between one and the processors there are", () => {
  expect(defaultThreads()).toBeGreaterThanOrEqual(1);
  expect(defaultThreads()).toBeLessThanOrEqual(availableParallelism());
});

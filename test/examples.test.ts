import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";

/** The chapter's blocks, as the program calls them. */
const BLOCKS = [
  "EmbedToken ",
  ...["sinusoidal", "learned"].map((positions) => `EmbedTokenWithPosition \\(${positions}\\)`),
  "FeedForwardSequenceModel",
  ...["SimpleRNN", "LSTM", "GRU"].map((cell) => `SequenceRNN\\(${cell}\\)`),
  "BidirectionalSequenceRNN",
  ...["Attention, scaled", "Attention, additive", "SelfAttention", "CrossAttention"],
  ...["no mask", "causal", "banded", "grouped", "rotary", "ALiBi", "relative"].map(
    (kind) => `MultiHeadedAttention, ${kind}`,
  ),
  ...[
    "FeedForward ",
    "FeedForward, SwiGLU",
    "LayerNorm",
    "RMSNorm",
    "AddNorm\\(f, x\\)",
    "AddNorm, pre-norm",
    "Dropout",
  ],
  ...["TransformerBlock ", "TransformerBlock, causal, pre-norm", "gpt3\\(d 8"],
];

describe("examples run", () => {
  it("chapter.ts calls every block and ends in GPT-3", () => {
    const file = new URL("../examples/chapter.ts", import.meta.url).pathname;
    const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", file], { encoding: "utf8" });
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(stdout).toContain("174,604,259,328 parameters");
    const of = (title: string) =>
      stdout.match(new RegExp(`^${title}.*→ \\[1, \\d, \\d+\\] +\\d+ parameters +(.+)$`, "m"))?.[1];
    for (const title of BLOCKS) expect(of(title), title).toMatch(/^-?\d/);
    expect(of("CrossAttention")).toBe(of("MultiHeadedAttention, no mask")); // the third token asks the same of the same five
    for (const other of ["causal", "banded", "rotary", "ALiBi", "relative"])
      expect(of(`MultiHeadedAttention, ${other}`), other).not.toBe(of("MultiHeadedAttention, no mask"));
    expect(stdout).not.toMatch(/NaN|Infinity/);
  });
});

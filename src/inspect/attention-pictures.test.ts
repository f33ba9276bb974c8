import { describe, expect, it } from "vitest";
import { freshModel } from "../../test/support/fresh-model.js";
import { trainByteLevelBpe, trainCharacterTokenizer } from "../text/index.js";
import {
  type AttentionMap,
  attentionHtml,
  attentionMaps,
  attentionSvg,
  capture,
  headWeights,
  heatMap,
  tokenLabels,
} from "./index.js";
import { displayWidth } from "./token-labels.js";

const map: AttentionMap = {
  path: "h.1.attn.attention_weights",
  kind: "self",
  layer: 1,
  heads: 2,
  queries: ["<a>", "明月", "·x&"],
  keys: ["<a>", "明月", "·x&"],
  weights: Float32Array.of(1, 0, 0, 0.75, 0.25, 0, 0.125, 0.125, 0.75, 1, 0, 0, 0.25, 0.75, 0, 0.375, 0.125, 0.5),
};

/** Names of elements in the order they end; throws where tags do not match. */
function elements(xml: string): string[] {
  const open: string[] = [];
  const done: string[] = [];
  let rest = xml;
  for (const [tag, end, name, attributes, empty] of xml.matchAll(
    /<(\/?)([a-z]\w*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/g,
  )) {
    void attributes;
    rest = rest.replace(tag, "");
    if (end) {
      if (open.pop() !== name) throw new Error(`${tag} does not match`);
      done.push(name!);
    } else if (empty) done.push(name!);
    else open.push(name!);
  }
  if (open.length > 0) throw new Error(`${open} not closed`);
  if (/[<>]|&(?!amp;|lt;|gt;|quot;)/.test(rest)) throw new Error("markup outside of tags");
  return done;
}

describe("attentionMaps", () => {
  it("are the captured weights with the tokens' names, by kind and layer", async () => {
    const model = freshModel("t5");
    const tokenizer = trainCharacterTokenizer(["abc明月"], { specialTokens: { eos: "</s>" } });
    const input = { source: "cab明", target: "ba" };
    const maps = await attentionMaps(model, input, { tokenizer });
    expect(maps.map(({ kind, layer, heads }) => `${kind} ${layer} ${heads}`)).toEqual([
      "encoder 0 2",
      "encoder 1 2",
      "self 0 2",
      "cross 0 2",
      "self 1 2",
      "cross 1 2",
    ]);
    const cross = maps[5]!;
    expect(cross.queries.slice(1)).toEqual(["b", "a"]);
    expect(cross.keys.slice(0, 4)).toEqual(["c", "a", "b", "明"]);
    const { values } = await capture(model, input, ["cross_attentions.1"], { tokenizer });
    expect(cross.weights).toEqual([...values.values()][0]!.data);
    const [first, second, mean] = [0, 1, "mean" as const].map((head) => headWeights(cross, head));
    expect(mean![1]![2]).toBeCloseTo((first![1]![2]! + second![1]![2]!) / 2, 6);
  });

  it("are there for every family that attends, and for a single text", async () => {
    const bahdanau = await attentionMaps(freshModel("seq2seq"), { source: [1, 2, 3], target: [4, 5] });
    expect(bahdanau).toMatchObject([{ kind: "cross", heads: 1, queries: ["4", "5"], keys: ["1", "2", "3"] }]);
    const gpt2 = freshModel("gpt2");
    await expect(attentionMaps(freshModel("rnn-lm"), [1, 2])).rejects.toThrow("a rnn-lm model shows no attention");
    await expect(attentionMaps(gpt2, [[1], [2]])).rejects.toThrow("one text at a time, got 2");
    expect(() => headWeights(map, 2)).toThrow("h.1.attn.attention_weights: it has no head 2 (2 heads, from 0)");
  });
});

describe("heatMap", () => {
  it("shades weights, labels columns downwards, and counts wide characters twice", () => {
    expect(heatMap(map, 0)).toBe(
      [
        "layer 1, head 0 of 2 (h.1.attn)",
        "     <   ·",
        "     a 明x",
        "     > 月&",
        " <a> ██",
        "明月 ██▓▓",
        " ·x& ▒▒▒▒██",
        "· >0  ░░ ≥0.02  ▒▒ ≥0.1  ▓▓ ≥0.2  ██ ≥0.5",
      ].join("\n"),
    );
  });

  it("is cut into panels that fit, and coloured on request", () => {
    const keys = Array.from({ length: 40 }, (_, i) => `k${i}`);
    const wide = { ...map, heads: 1, queries: ["q"], keys, weights: new Float32Array(40).fill(1 / 40) };
    const lines = heatMap(wide, "mean", { columns: 30 }).split("\n").slice(1, -1);
    expect(Math.max(...lines.map(displayWidth))).toBeLessThanOrEqual(30);
    expect(lines.join("").match(/░░/g)).toHaveLength(40);
    expect(heatMap(map, 0, { color: true })).toContain("\u001b[38;5;203m██\u001b[0m");
    expect(heatMap(map, 0)).not.toContain("\u001b");
  });
});

describe("attentionSvg", () => {
  it("is well-formed: a square with its weight for each one above nothing, a label for each token", () => {
    const svg = attentionSvg(map, "mean");
    const names = elements(svg);
    const shown = headWeights(map, "mean").flatMap((row) => [...row].filter((w) => w > 0)).length;
    expect(names.filter((name) => name === "title")).toHaveLength(shown + 1);
    expect(names.filter((name) => name === "text")).toHaveLength(1 + 3 + 3 + 6);
    expect(svg).toContain("<title>·x&amp; → &lt;a&gt;: 0.250</title>");
    expect(svg).toContain("layer 1, mean of 2 heads (h.1.attn)");
  });

  it("escapes a title and replaces what XML cannot hold", () => {
    const svg = attentionSvg({ ...map, keys: ["\u0000", "\ud800", "]]>"] }, 0, { title: 'a < b & "c"' });
    elements(svg);
    expect(svg).toContain("a &lt; b &amp; &quot;c&quot;");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there is none
    expect(svg).not.toMatch(/[\u0000-\u0008\ud800-\udfff]/);
  });
});

describe("attentionHtml", () => {
  const html = attentionHtml([map], { title: "</script><b>" });

  it("holds every weight, and nothing from outside", () => {
    const json = /<script id="data" type="application\/json">(.*?)<\/script>/s.exec(html)![1]!;
    const [data] = JSON.parse(json);
    const bytes = Uint8Array.from(atob(data.weights), (c) => c.charCodeAt(0));
    const weights = Array.from({ length: 18 }, (_, i) => new DataView(bytes.buffer).getUint16(2 * i, true) / 65535);
    for (const [i, w] of weights.entries()) expect(w).toBeCloseTo(map.weights[i]!, 4);
    expect(data).toMatchObject({ kind: "self", layer: 1, heads: 2, queries: map.queries, keys: map.keys });
    expect(html).not.toMatch(/https?:|src=|href=|@import|url\(/);
  });

  it("escapes its title and labels", () => {
    expect(html).toContain("<h1>&lt;/script&gt;&lt;b&gt;</h1>");
    expect(attentionHtml([{ ...map, keys: ["</script>", "<!--", "x"] }]).match(/<\/script>/g)).toHaveLength(2);
  });

  it("has a script that parses", () => {
    const script = /<script>(.*?)<\/script>/s.exec(html)![1]!;
    expect(() => new Function(script)).not.toThrow();
  });
});

describe("tokenLabels", () => {
  it("show spaces and line ends, and number what is part of a character", () => {
    const tokenizer = trainByteLevelBpe(["the cat\n sat ".repeat(9)], { vocabSize: 280 });
    const labels = tokenLabels(tokenizer, tokenizer.encode("the cat\n明"));
    expect(labels.join("")).toMatch(/^the·cat↵(#\d+){3}$/);
  });
});

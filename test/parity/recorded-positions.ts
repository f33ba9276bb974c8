import type { HostTensor } from "../../src/core/host-tensor.js";
import { parametersOf } from "../../src/core/module.js";
import { describeModel, type LanguageModel } from "../../src/pretrained/load-model.js";
import type { Golden } from "./golden.js";
import { torchNormals } from "./torch-random.js";

const HALVES = ["encoder", "decoder"] as const;
const tablePath = (half: (typeof HALVES)[number]) => `model.${half}.embed_positions.weight`;
/** What the recording seeded torch with before it redrew its parameters. */
const SEED = 1234;

/**
 * A Marian model with the whole tables of positions that its recording used, drawn once more. The recording redrew all parameters in
 * their order, the tables too: see {@link withRecordedPositions}. The draws are believed when each, up to a factor and an addend, is
 * what the checkpoint has, or, of a table, what the first hidden states have.
 *
 * @returns the model as it is where the files say all, or the draws are others
 */
export function withRedrawnPositions(golden: Golden, model: LanguageModel): LanguageModel {
  const recorded = withRecordedPositions(golden, model);
  if (!recorded) return model;
  const normals = torchNormals(SEED);
  const weights = new Map(recorded.weights);
  for (const path of parametersOf(recorded.module).keys()) {
    if (path === "final_logits_bias") continue; // none of torch's parameters
    // torch has a key's projection before a value's and a query's
    const name = path.replace(/[qkv](?=_proj)/, (which) => ({ q: "k", k: "v", v: "q" })[which]!);
    const { shape, data } = recorded.weights.get(name)!;
    const half = HALVES.find((half) => tablePath(half) === name);
    const known = half ? recordedRows(golden, model, half) : (data as Float32Array);
    const drawn = normals(data.length);
    const table = drawn && fitted(drawn, known);
    if (!table) return model;
    if (half) weights.set(name, { dtype: "float32", shape, data: table });
  }
  return { ...recorded, weights };
}

/** `factor · drawn + addend` by least squares against `known`, the beginning of it; undefined where that is not what is known. */
function fitted(drawn: Float32Array, known: Float32Array): Float32Array | undefined {
  const mean = (x: Float32Array) => x.reduce((sum, value) => sum + value, 0) / x.length;
  const x = drawn.subarray(0, known.length);
  const [mx, my] = [mean(x), mean(known)];
  const covariance = x.reduce((sum, value, i) => sum + (value - mx) * (known[i]! - my), 0);
  const factor = covariance / x.reduce((sum, value) => sum + (value - mx) ** 2, 0);
  const fit = drawn.map((value) => factor * (value - mx) + my);
  return known.every((value, i) => Math.abs(value - fit[i]!) < 1e-4 * factor) ? fit : undefined;
}

/**
 * A Marian model with the positions that its recording used, where they are none of the model's. transformers keeps the table of
 * sinusoids as a parameter and leaves it out when it saves; a recording of a model whose parameters were all redrawn has another table
 * in memory than its files say. Hidden state 0 is the scaled embedding and a row of that table; rows that it has not are 0.
 *
 * @returns undefined where the files say all
 */
export function withRecordedPositions(golden: Golden, model: LanguageModel): LanguageModel | undefined {
  if (model.family.modelType !== "marian" || [...model.weights.keys()].some((path) => path.includes("embed_positions")))
    return undefined;
  const { d_model: d, max_position_embeddings: rows } = model.rawConfig as Readonly<Record<string, number>>;
  const weights = new Map(model.weights);
  for (const half of HALVES) {
    const data = new Float32Array(rows! * d!);
    data.set(recordedRows(golden, model, half));
    weights.set(tablePath(half), { dtype: "float32", shape: [rows!, d!], data } satisfies HostTensor);
  }
  // The first position of the real table: d/2 sines of 0, then d/2 cosines.
  const first = (weights.get(tablePath("encoder"))!.data as Float32Array).subarray(0, d!);
  if (first.every((x, j) => Math.abs(x - (j < d! / 2 ? 0 : 1)) < 1e-3)) return undefined;
  const described = describeModel({ ...model.rawConfig, has_position_embeddings: true }, golden.name);
  return { ...model, ...described, rawConfig: model.rawConfig, weights };
}

/** The rows of a table that hidden state 0 shows, one after another: those of the first text's positions. */
function recordedRows(golden: Golden, model: LanguageModel, half: (typeof HALVES)[number]): Float32Array {
  const { d_model: d, scale_embedding } = model.rawConfig as Readonly<Record<string, number>>;
  const scale = scale_embedding ? Math.sqrt(d!) : 1;
  const ids = golden.tensors.get(half === "encoder" ? "in.input_ids" : "in.decoder_input_ids")!;
  const hidden = golden.tensors.get(`out.${half}_hidden_states.0`)!.data as Float32Array;
  const embedding = (
    model.weights.get(`model.${half}.embed_tokens.weight`) ?? model.weights.get("model.shared.weight")!
  ).data as Float32Array;
  return Float32Array.from(
    { length: (ids.shape[1] as number) * d! },
    (_, i) => hidden[i]! - scale * embedding[Number(ids.data[Math.floor(i / d!)]) * d! + (i % d!)]!,
  );
}

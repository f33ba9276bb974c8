import type { HostTensor } from "../../src/core/host-tensor.js";
import { describeModel, type LanguageModel } from "../../src/pretrained/load-model.js";
import type { Golden } from "./golden.js";

/**
 * A Marian model with the positions that its recording used, where they are none of the model's. transformers keeps the table of
 * sinusoids as a parameter and leaves it out when it saves; a recording of a model whose parameters were all redrawn has another table
 * in memory than anybody can read from its files. Hidden state 0 is the scaled embedding and a row of that table.
 *
 * @returns undefined where the files say all
 */
export function withRecordedPositions(golden: Golden, model: LanguageModel): LanguageModel | undefined {
  if (model.family.modelType !== "marian" || [...model.weights.keys()].some((path) => path.includes("embed_positions")))
    return undefined;
  const {
    d_model: d,
    max_position_embeddings: rows,
    scale_embedding,
  } = model.rawConfig as Readonly<Record<string, number>>;
  const scale = scale_embedding ? Math.sqrt(d!) : 1;
  const tableOf = (half: "encoder" | "decoder"): Float32Array => {
    const ids = golden.tensors.get(half === "encoder" ? "in.input_ids" : "in.decoder_input_ids")!;
    const hidden = golden.tensors.get(`out.${half}_hidden_states.0`)!.data as Float32Array;
    const embedding = (
      model.weights.get(`model.${half}.embed_tokens.weight`) ?? model.weights.get("model.shared.weight")!
    ).data as Float32Array;
    const table = new Float32Array(rows! * d!);
    for (let i = 0; i < (ids.shape[1] as number); i++)
      for (let j = 0; j < d!; j++)
        table[i * d! + j] = hidden[i * d! + j]! - scale * embedding[Number(ids.data[i]) * d! + j]!;
    return table;
  };
  const [encoder, decoder] = [tableOf("encoder"), tableOf("decoder")];
  // The first position of the real table: d/2 sines of 0, then d/2 cosines.
  const real = encoder.subarray(0, d!).every((x, j) => Math.abs(x - (j < d! / 2 ? 0 : 1)) < 1e-3);
  if (real) return undefined;
  const described = describeModel({ ...model.rawConfig, has_position_embeddings: true }, golden.name);
  const tensor = (data: Float32Array): HostTensor => ({ dtype: "float32", shape: [rows!, d!], data });
  const weights = new Map(model.weights)
    .set("model.encoder.embed_positions.weight", tensor(encoder))
    .set("model.decoder.embed_positions.weight", tensor(decoder));
  return { ...model, ...described, rawConfig: model.rawConfig, weights };
}

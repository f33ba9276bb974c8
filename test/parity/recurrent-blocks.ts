import type { Tensor } from "../../src/core/tensor.js";
import { feedForwardLanguageModel } from "../../src/models/feed-forward-lm.js";
import { additiveAttention } from "../../src/nn/additive-attention.js";
import { sequenceContext } from "../../src/nn/context.js";
import { gru } from "../../src/nn/gru.js";
import { lstm } from "../../src/nn/lstm.js";
import type { RnnCell } from "../../src/nn/rnn-cell.js";
import { sequenceRnn } from "../../src/nn/sequence-rnn.js";
import { simpleRnn } from "../../src/nn/simple-rnn.js";
import { slice } from "../../src/ops/shape.js";
import type { Block } from "./block-case.js";
import type { Golden } from "./golden.js";

const contextOf = (x: Tensor) => sequenceContext({ batch: x.shape[0]!, length: x.shape[1]! });

interface RnnSettings {
  readonly input: number;
  readonly hidden: number;
  readonly layers: number;
  readonly nonlinearity?: "tanh" | "relu";
  readonly projection?: number;
}

/** Whether a case runs both ways shows in its gradients; not every golden.json says it. */
const stack =
  (cell: (settings: RnnSettings) => RnnCell) =>
  ({ json, tensors }: Golden): Block => {
    const settings = json as unknown as RnnSettings;
    const rnn = sequenceRnn(cell(settings), {
      layers: settings.layers,
      bidirectional: tensors.has("grad.weight_ih_l0_reverse"),
    });
    return { module: rnn, forward: (params, { x }) => ({ y: rnn(params, x!, contextOf(x!)) }) };
  };

const bahdanau = ({ json, tensors }: Golden): Block => {
  const { d, attention } = json as { readonly d: number; readonly attention: number };
  const block = additiveAttention(d, attention, tensors.get("in.k")!.shape.at(-1)!);
  return { module: block, forward: (params, { q, k }) => block(params, q!, k!) };
};

const bengio = ({ json, tensors }: Golden): Block => {
  const { context, embed, hidden, vocab } = json as Readonly<Record<string, number>>;
  const model = feedForwardLanguageModel({
    vocab_size: vocab!,
    context_size: context!,
    embedding_size: embed!,
    hidden_size: hidden!,
    direct_connections: tensors.has("grad.W.weight"),
  });
  // Recorded are the positions that see n tokens.
  const forward: Block["forward"] = (params, { ids }) => ({
    logits: slice(model(params, ids!, contextOf(ids!)), 1, context! - 1),
  });
  return { module: model, forward };
};

const kinds: Readonly<Record<string, (golden: Golden) => Block>> = {
  "torch-rnn-": stack(({ input, hidden, nonlinearity = "tanh" }) => simpleRnn({ input, hidden, nonlinearity })),
  "torch-lstm": stack(({ input, hidden, projection }) =>
    lstm(projection === undefined ? { input, hidden } : { input, hidden, projection }),
  ),
  "torch-gru": stack(gru),
  "bahdanau-attention": bahdanau,
  "bengio-2003": bengio,
};

/** The block of a case, or undefined when it is of another kind. */
export function recurrentBlock(golden: Golden): Block | undefined {
  const name = String(golden.json.case);
  const kind = Object.keys(kinds).find((part) => name.includes(part));
  return kind === undefined ? undefined : kinds[kind]!(golden);
}

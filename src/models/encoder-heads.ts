import { type AnyModule, type Module, module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import type { Context } from "../nn/context.js";
import { linear } from "../nn/linear.js";
import { reshape, split } from "../ops/shape.js";
import type { Encoder } from "./model.js";

/** An encoder without a head: `ids: [b, t]` → at least `last_hidden_state: [b, t, d]`. */
// biome-ignore lint/suspicious/noExplicitAny: every model has parameters of its own
type Body = Module<any, [ids: Tensor, ctx: Context], { readonly last_hidden_state: Tensor }>;

/** What a head on an encoder needs to know. */
export interface EncoderHeadOptions {
  /** Model size. */
  readonly d: number;
  /** Probability of dropping an element of the head's input while training. */
  readonly dropout: number;
  /** Standard deviation of the initial weights. */
  readonly std: number;
}

/**
 * A label for each token: logits `[b, t, n]` of a layer called `classifier`, beside the encoder, which is called `base`.
 *
 * @param options.n labels
 */
export function tokenClassification(
  base: string,
  body: Body,
  { d, n, dropout, std }: EncoderHeadOptions & { readonly n: number },
): Encoder {
  const spec: Readonly<Record<string, AnyModule>> = { [base]: body, classifier: linear(d, n, { std }) };
  return module(spec, (self, ids: Tensor, ctx: Context) => {
    const { last_hidden_state } = self[base]!(ids, ctx);
    return { logits: self.classifier!(ctx.dropout(last_hidden_state, dropout)) };
  });
}

/**
 * Where an answer begins and ends: `start_logits` and `end_logits`, `[b, t]` each, of a layer called `qa_outputs`, beside the encoder,
 * which is called `base`.
 */
export function questionAnswering(base: string, body: Body, { d, dropout, std }: EncoderHeadOptions): Encoder {
  const spec: Readonly<Record<string, AnyModule>> = { [base]: body, qa_outputs: linear(d, 2, { std }) };
  return module(spec, (self, ids: Tensor, ctx: Context) => {
    const { last_hidden_state } = self[base]!(ids, ctx);
    const logits: Tensor = self.qa_outputs!(ctx.dropout(last_hidden_state, dropout)); // [b, t, 2]
    const [start_logits, end_logits] = split(logits, 2).map((x) => reshape(x, ids.shape)) as [Tensor, Tensor];
    return { start_logits, end_logits };
  });
}

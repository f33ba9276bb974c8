import type { Module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import type { Context } from "../nn/context.js";
import type { Encoder } from "./model.js";

/** A language model without its head: `ids: [b, t]` → hidden states `[b, t, d]`. */
// biome-ignore lint/suspicious/noExplicitAny: every model has parameters of its own
type Body = Module<any, [ids: Tensor, ctx: Context], Tensor>;

/** A language model without its head as a model of its own, with the body's parameters: `last_hidden_state: [b, t, d]`. */
export function features(body: Body): Encoder {
  const call: (...args: Parameters<Body>) => ReturnType<Encoder> = (...args) => ({ last_hidden_state: body(...args) });
  return Object.assign(call, { kind: "module" as const, spec: body.spec });
}

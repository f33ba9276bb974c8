import type { Dim } from "../core/dim.js";
import { type AnyModule, module, parametersOf } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { full } from "../ops/constant.js";
import { mul } from "../ops/elementwise.js";
import { gather } from "../ops/gather.js";
import type { Context } from "./context.js";

/**
 * Variational ("locked") dropout: one mask for all elements of a sequence. Gal & Ghahramani 2016. `x: [b, t, d]` → the same.
 *
 * @param rate probability of dropping a feature, in [0, 1)
 */
export function lockedDropout(x: Tensor, rate: number, ctx: Context): Tensor {
  if (!ctx.training || rate === 0) return x;
  const [b, , d] = x.shape as [Dim, Dim, Dim];
  return mul(x, ctx.dropout(full([b, 1, d], 1, x.dtype), rate));
}

/**
 * Embeddings of which whole words are dropped, each wherever it occurs. Gal & Ghahramani 2016; Merity et al. 2018, section 4.3.
 * `weight: [v, d]`, `ids: [b, t]` → `[b, t, d]`.
 *
 * @param rate probability of dropping a word, in [0, 1)
 * @param padding a token whose vector no text changes. Default none
 */
export function embeddingDropout(
  weight: Tensor,
  ids: Tensor,
  rate: number,
  ctx: Context,
  padding?: number | null,
): Tensor {
  const x = gather(weight, ids, { frozenRow: padding ?? undefined });
  if (!ctx.training || rate === 0) return x;
  return mul(x, gather(ctx.dropout(full([weight.shape[0]!, 1], 1, weight.dtype), rate), ids));
}

/**
 * A recurrent layer whose hidden-to-hidden matrices are dropped in part (DropConnect), by one mask for all sequences and steps of a
 * batch. Wan et al. 2013; Merity et al. 2018, section 2. Parameters as fastai's `WeightDropout`: `weight_hh_l0_raw` for the
 * matrix, `module.` before the others.
 *
 * @param rnn such as {@link sequenceRnn} makes
 * @param rate probability of dropping a weight, in [0, 1)
 */
export function weightDrop<M extends AnyModule & ((params: never, x: Tensor, ctx: Context) => Tensor)>(
  rnn: M,
  rate: number,
) {
  const dropped = (name: string) => name.startsWith("weight_hh");
  const onDisk = (name: string) => (dropped(name) ? `${name}_raw` : `module.${name}`);
  const spec = Object.fromEntries([...parametersOf(rnn)].map(([name, p]) => [onDisk(name), p]));
  return module(spec, (self, x: Tensor, ctx: Context): Tensor => {
    const parameters = [...parametersOf(rnn).keys()].map((name) => {
      const weight = self[onDisk(name)]!;
      return [name, dropped(name) ? ctx.dropout(weight, rate) : weight] as const;
    });
    return rnn(Object.fromEntries(parameters) as never, x, ctx);
  });
}

import { type Module, module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { add } from "../ops/elementwise.js";
import type { Context } from "./context.js";
import { embedToken } from "./embed-token.js";
import { learnedPositions, sinusoidalPositions } from "./positions.js";

// biome-ignore lint/suspicious/noExplicitAny: learned positions have a parameter, sinusoidal ones none
type PositionModule = Module<any, [positions: Tensor], Tensor>;

/**
 * EmbedTokenWithPosition: each token's vector plus its position's, `E_{x_i} + P_i`. Vaswani et al. 2017, section 3.5.
 * `ids: [b, t]` int64 → `[b, t, d]`. Parameters are named as GPT-2's.
 *
 * @param length positions it knows
 * @param positions `"sinusoidal"`: fixed, the 2017 Transformer; `"learned"`: GPT-2 and GPT-3. Default `"sinusoidal"`
 */
export function embedTokenWithPosition(
  vocab: number,
  d: number,
  length: number,
  { positions = "sinusoidal" }: { readonly positions?: "sinusoidal" | "learned" } = {},
) {
  const wpe: PositionModule = positions === "learned" ? learnedPositions(length, d) : sinusoidalPositions(length, d);
  return module({ wte: embedToken(vocab, d), wpe }, ({ wte, wpe }, ids: Tensor, ctx: Context) =>
    add(wte(ids), wpe(ctx.positions)),
  );
}

import { type Module, module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { add, mul } from "../ops/elementwise.js";
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
 * @param scale factor of the tokens' vectors: `√d` in the 2017 Transformer (section 3.4). Default 1
 * @param std standard deviation of the initial vectors. Default 0.02
 */
export function embedTokenWithPosition(
  vocab: number,
  d: number,
  length: number,
  {
    positions = "sinusoidal",
    scale = 1,
    std = 0.02,
  }: { readonly positions?: "sinusoidal" | "learned"; readonly scale?: number; readonly std?: number } = {},
) {
  const wpe: PositionModule =
    positions === "learned" ? learnedPositions(length, d, { std }) : sinusoidalPositions(length, d);
  return module({ wte: embedToken(vocab, d, { std }), wpe }, ({ wte, wpe }, ids: Tensor, ctx: Context) => {
    const x = wte(ids); // [b, t, d]
    return add(scale === 1 ? x : mul(x, scale), wpe(ctx.positions));
  });
}

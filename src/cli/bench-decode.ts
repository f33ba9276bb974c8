import { TesseraError } from "../core/errors.js";
import { initialize } from "../core/initialize.js";
import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { compileModel } from "../generate/compile-model.js";
import { gpt2LmHeadModel } from "../models/gpt2.js";
import type { CausalLm } from "../models/model.js";
import type { Context } from "../nn/context.js";
import { embedToken } from "../nn/embed-token.js";
import { gatedFeedForward } from "../nn/feed-forward.js";
import { linear } from "../nn/linear.js";
import { multiHeadedAttention } from "../nn/multi-headed-attention.js";
import { rmsNorm } from "../nn/rms-norm.js";
import { rotaryPositions } from "../nn/rotary-positions.js";
import { add } from "../ops/elementwise.js";
import { nativeRuntime } from "../runtime/native.js";
import type { DecodeFlags } from "./bench-flags.js";
import { memoryReadPeak } from "./machine-peak.js";
import { median } from "./median.js";

const CONTEXT = 8192;

/** LLaMA's block (Touvron et al. 2023) at the size of GPT-2 small. */
function llamaLike(vocab: number): CausalLm {
  const [d, heads, layers, inner] = [768, 12, 12, 2048];
  const onQueryKey = rotaryPositions(d / heads);
  const block = () =>
    module(
      {
        input_layernorm: rmsNorm(d),
        self_attn: multiHeadedAttention({ d, heads, mask: "causal", bias: false, onQueryKey }),
        post_attention_layernorm: rmsNorm(d),
        mlp: gatedFeedForward(d, inner),
      },
      ({ input_layernorm, self_attn, post_attention_layernorm, mlp }, x: Tensor, ctx: Context) => {
        const y = input_layernorm(x);
        x = add(x, self_attn(y, y, ctx));
        return add(x, mlp(post_attention_layernorm(x)));
      },
    );
  return module(
    {
      embed_tokens: embedToken(vocab, d),
      layers: Array.from({ length: layers }, block),
      norm: rmsNorm(d),
      lm_head: linear(d, vocab, { bias: false }),
    },
    ({ embed_tokens, layers, norm, lm_head }, ids: Tensor, ctx: Context) => {
      let x = embed_tokens(ids);
      for (const layer of layers) x = layer(x, ctx);
      return lm_head(norm(ctx.scored(x)));
    },
  );
}

function gpt2Like(vocab: number): CausalLm {
  return gpt2LmHeadModel({
    vocab_size: vocab,
    n_positions: CONTEXT,
    n_embd: 768,
    n_layer: 12,
    n_head: 12,
    n_inner: null,
    activation_function: "gelu_new",
    layer_norm_epsilon: 1e-5,
    scale_attn_weights: true,
    scale_attn_by_inverse_layer_idx: false,
    tie_word_embeddings: true,
    embd_pdrop: 0,
    attn_pdrop: 0,
    resid_pdrop: 0,
  });
}

/** What `bench decode` can measure, and the parameters that a token does not read in full: embeddings that are looked up. */
const families: Readonly<Record<string, { build(vocab: number): CausalLm; readonly lookedUp: RegExp }>> = {
  llama: { build: llamaLike, lookedUp: /^embed_tokens\./ },
  gpt2: { build: gpt2Like, lookedUp: /\.wpe\./ },
};

/** Times single tokens after a prompt, float32, alternating with plain reading of memory. */
export async function benchDecode({
  family,
  vocab,
  prompt,
  tokens,
  threads,
}: DecodeFlags): Promise<Readonly<Record<string, number | string>>> {
  const chosen = families[family];
  if (!chosen)
    throw new TesseraError(
      "argument",
      `--family: must be one of ${Object.keys(families).join(", ")}, got ${JSON.stringify(family)}`,
    );
  const runtime = nativeRuntime();
  const module = chosen.build(vocab);
  const weights = initialize(module, 1);
  const bytes = [...weights].reduce(
    (sum, [path, { data }]) => (chosen.lookedUp.test(path) ? sum : sum + data.byteLength),
    0,
  );
  const facts = { vocabSize: vocab, contextLength: CONTEXT };
  const options = threads === undefined ? {} : { threads };
  using model = await compileModel({ module, weights, facts, generation: {}, rawConfig: {} }, { runtime, ...options });
  using decoder = model.decoder({ capacity: prompt + tokens + 1 });
  const ids = Array.from({ length: prompt }, (_, i) => (i * 7919) % vocab);
  const prefill = performance.now();
  await decoder.append(0, ids);
  const millisecondsToRead = performance.now() - prefill;
  using peak = await memoryReadPeak(runtime, options);
  await decoder.step([1]);
  const times: number[] = [];
  const peaks: number[] = [];
  for (let i = 0; i < tokens; i++) {
    if (i % 10 === 0) peaks.push(peak.sample());
    const start = performance.now();
    await decoder.step([(i * 31) % vocab]);
    if (i % 10 !== 0) times.push(performance.now() - start); // the first after the array has cold caches
  }
  const milliseconds = median(times);
  const gigabytesPerSecond = bytes / 1e6 / milliseconds;
  const memoryReadGigabytesPerSecond = median(peaks);
  return {
    family,
    weightsMegabytes: bytes / 1e6,
    promptMilliseconds: millisecondsToRead,
    millisecondsPerToken: milliseconds,
    tokensPerSecond: 1000 / milliseconds,
    gigabytesPerSecond,
    memoryReadGigabytesPerSecond,
    shareOfBandwidth: gigabytesPerSecond / memoryReadGigabytesPerSecond,
    engine: runtime.description,
  };
}

import { TesseraError } from "../core/errors.js";
import type { HostTensor } from "../core/host-tensor.js";
import { clsPooling, lastTokenPooling, meanPooling, normalize } from "../nn/pooling.js";
import { checkInputs, checkOptions, type OptionNames, textOrPair } from "./check-call.js";
import { openEncoder } from "./encoder-session.js";
import type { OpenedModel } from "./open-model.js";
import { type TextOrPair, type TruncationOptions, textInput } from "./text-input.js";

/** How vectors become one: their mean, the first token's, the last token's. */
export type Pooling = "mean" | "cls" | "last";

/** How features are extracted. */
export interface FeatureOptions extends TruncationOptions {
  /** One vector for a text instead of one for each token. Default: one for each token. */
  readonly pooling?: Pooling | undefined;
  /** Make vectors of length 1, whose products are cosines. Default false. */
  readonly normalize?: boolean;
  readonly signal?: AbortSignal;
}

/** A text's vectors, `[1][t][d]`. */
export type TokenFeatures = readonly (readonly (readonly number[])[])[];

/** The last hidden state of each token, or, pooled, one vector for a text. */
export interface FeatureExtraction {
  (text: TextOrPair, options: FeatureOptions & { readonly pooling: Pooling }): Promise<readonly number[]>;
  (
    texts: readonly TextOrPair[],
    options: FeatureOptions & { readonly pooling: Pooling },
  ): Promise<readonly (readonly number[])[]>;
  (text: TextOrPair, options?: FeatureOptions & { readonly pooling?: undefined }): Promise<TokenFeatures>;
  (
    texts: readonly TextOrPair[],
    options?: FeatureOptions & { readonly pooling?: undefined },
  ): Promise<readonly TokenFeatures[]>;
}

const optionNames: OptionNames<FeatureOptions> = {
  pooling: true,
  normalize: true,
  truncation: true,
  maxLength: true,
  signal: true,
};

export async function openFeatureExtraction(opened: OpenedModel): Promise<FeatureExtraction & Disposable> {
  const session = await openEncoder(opened, ({ last_hidden_state }, { mask }) => {
    const hidden = last_hidden_state!;
    const plain = {
      tokens: hidden,
      mean: meanPooling(hidden, mask),
      cls: clsPooling(hidden),
      last: lastTokenPooling(hidden, mask),
    };
    return {
      ...plain,
      ...Object.fromEntries(Object.entries(plain).map(([name, x]) => [`${name}.normalized`, normalize(x)])),
    };
  });
  const texts = textInput(opened);
  const poolings: readonly unknown[] = ["mean", "cls", "last", undefined];

  const call = async (given: TextOrPair | readonly TextOrPair[], options: FeatureOptions = {}) => {
    checkInputs(opened.where, given, textOrPair);
    checkOptions(opened.where, options, optionNames);
    const { pooling, normalize: unit = false, signal } = options;
    if (!poolings.includes(pooling))
      throw new TesseraError("argument", `${opened.where}: pooling must be mean, cls or last, got ${String(pooling)}`);
    const list = Array.isArray(given) ? (given as readonly TextOrPair[]) : [given as TextOrPair];
    const name = `${pooling ?? "tokens"}${unit ? ".normalized" : ""}`;
    const inputs = list.map((text, i) => texts.encode(text, i, options));
    const results = (await session.run(inputs, [name], signal)).map((result) => {
      const vectors = nested(result[name]!);
      return pooling === undefined ? [vectors] : vectors;
    });
    return Array.isArray(given) ? results : results[0]!;
  };
  return Object.assign(call as unknown as FeatureExtraction, { [Symbol.dispose]: () => session[Symbol.dispose]() });
}

/** `[t, d]` or `[d]` as lists. */
function nested({ shape, data }: HostTensor): number[][] | number[] {
  const values = Array.from(data as Float32Array);
  const d = shape.at(-1)!;
  return shape.length === 1 ? values : Array.from({ length: shape[0]! }, (_, i) => values.slice(i * d, (i + 1) * d));
}

import type { Shape } from "../core/dim.js";
import { parametersOf, parameterTree } from "../core/module.js";
import { input, type Tensor } from "../core/tensor.js";
import { type Observer, withObserver } from "../core/trace.js";
import type { EncoderDecoderHalves } from "../models/model.js";
import { sequenceContext } from "../nn/context.js";
import type { Feeds, InspectedModel } from "./model-input.js";

/** Shapes of what a model is given. */
export type FeedShapes = { readonly [K in keyof Feeds]?: Shape | undefined };

/** What stands for a model's input and parameters in a graph. */
export interface Symbols {
  readonly given: Readonly<Partial<Record<keyof Feeds, Tensor>>> & { readonly ids: Tensor };
  readonly parameters: ReadonlyMap<string, Tensor>;
}

/** Inputs of a graph for a model's input, of given shapes, and for its parameters. */
export function symbolsOf({ module }: InspectedModel, shapes: FeedShapes): Symbols {
  const given = Object.entries(shapes).flatMap(([name, shape]) =>
    shape ? [[name, input(`in.${name}`, shape, "int64")] as const] : [],
  );
  return {
    given: Object.fromEntries(given) as unknown as Symbols["given"],
    parameters: new Map([...parametersOf(module)].map(([path, { shape }]) => [path, input(path, shape)])),
  };
}

/** Shapes with a name for every size: `b` rows, `t` tokens; an encoder-decoder reads `s` tokens and has written `t`. */
export function namedShapes({ task }: InspectedModel): FeedShapes {
  const source = ["b", task === "seq2seq-lm" ? "s" : "t"];
  const target = task === "seq2seq-lm" ? ["b", "t"] : undefined;
  const places = task === "blank-infilling" ? source : undefined;
  return {
    ids: source,
    attentionMask: source,
    segments: target ? undefined : source,
    positions: places,
    blockPositions: places,
    prefixLength: places && ["b"],
    target,
  };
}

/**
 * The model's outputs under their names. The observer sees every inner value under a path of its own: what a module gives when it is
 * called again is `path@2`, `path@3`, ….
 */
export function traceModel(
  { module, task }: InspectedModel,
  { given, parameters }: Symbols,
  observer: Observer,
): Readonly<Record<string, Tensor>> {
  const calls = new Map<string, number>();
  const each: Observer = (path, value) => {
    const count = (calls.get(path) ?? 0) + 1;
    calls.set(path, count);
    return observer(count === 1 ? path : `${path}@${count}`, value);
  };
  return withObserver(each, () => {
    const tree = parameterTree(module, (path) => parameters.get(path));
    const { ids, target, ...row } = given;
    const context = (x: Tensor, more: object) => sequenceContext({ batch: x.shape[0]!, length: x.shape[1]!, ...more });
    const ctx = context(ids, row);
    if (task === "seq2seq-lm") {
      const { encode, decode } = module(tree) as EncoderDecoderHalves;
      return { logits: decode(target!, encode(ids, ctx), context(target!, { memoryMask: row.attentionMask })) };
    }
    const answer: Tensor | Readonly<Record<string, Tensor>> = module(tree, ids, ctx);
    return task === "causal-lm" ? { logits: answer as Tensor } : (answer as Readonly<Record<string, Tensor>>);
  });
}

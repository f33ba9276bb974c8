import { type AnyModule, parametersOf } from "../core/module.js";
import type { RunSettings } from "./settings.js";

/** Which parameters a run trains, in which groups, and how fast each. */
export interface TrainedParts {
  trainable(path: string): boolean;
  /** 0 is nearest to the input. */
  groupOf(path: string): number;
  /** Learning rates of the groups in a step. */
  rates(step: number, learningRate: number): readonly number[];
}

/**
 * Discriminative rates and gradual unfreezing (Howard & Ruder 2018, sections 3.2 and 3.3): groups are the layers, with what comes
 * before the first as the lowest and what comes after the last, the head, as the highest. Each has the rate of the one above divided by
 * `layer_rate_decay`, and 0 until it is unfrozen.
 */
export function trainedParts(
  module: AnyModule,
  {
    freeze,
    layer_rate_decay: decay,
    unfreeze_every: every,
  }: Pick<RunSettings, "freeze" | "layer_rate_decay" | "unfreeze_every">,
): TrainedParts {
  const frozen = freeze === null ? undefined : new RegExp(freeze);
  const trainable = (path: string) => !frozen?.test(path);
  if (decay === 1 && every === null) return { trainable, groupOf: () => 0, rates: (_, rate) => [rate] };
  const groups = layerGroups([...parametersOf(module).keys()]);
  const top = Math.max(...groups.values());
  return {
    trainable,
    groupOf: (path) => groups.get(path)!,
    rates: (step, rate) =>
      Array.from({ length: top + 1 }, (_, group) => {
        const below = top - group;
        return every !== null && step < below * every ? 0 : rate / decay ** below;
      }),
  };
}

/** The layer of each parameter, by the number in its path (`h.0.`, torch's `weight_ih_l0`); stacks one behind the other count on. */
export function layerGroups(paths: readonly string[]): ReadonlyMap<string, number> {
  const layerOf = (path: string) => /^(.*?)\.(\d+)(?=\.|$)/.exec(path) ?? /^(.*)\.\w+_l(\d+)(?:_\w+)?$/.exec(path);
  const stacks = [...new Set(paths.flatMap((path) => layerOf(path)?.[1] ?? []))];
  const depths = stacks.map((stack) =>
    Math.max(...paths.flatMap((path) => (layerOf(path)?.[1] === stack ? [Number(layerOf(path)![2])] : []))),
  );
  const below = stacks.map((_, i) => 1 + depths.slice(0, i).reduce((sum, depth) => sum + depth + 1, 0));
  const last = paths.findLastIndex((path) => layerOf(path));
  const top = 1 + depths.reduce((sum, depth) => sum + depth + 1, 0);
  return new Map(
    paths.map((path, i) => {
      const [, stack, layer] = layerOf(path) ?? [];
      if (stack !== undefined) return [path, below[stacks.indexOf(stack)]! + Number(layer)];
      return [path, i > last && last >= 0 ? top : 0];
    }),
  );
}

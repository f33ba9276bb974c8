/** Figures of an evaluation by name. */
export type Metrics = Readonly<Record<string, number>>;

/** Share of predictions that are right. NaN for none. */
export function accuracy(predicted: readonly number[], expected: readonly number[]): number {
  return predicted.filter((p, i) => p === expected[i]).length / predicted.length;
}

/** F1, the harmonic mean of precision and recall, of hits among predicted and expected ones; 0 where there is none of either. */
export function f1(hits: number, predicted: number, expected: number): number {
  return predicted + expected === 0 ? 0 : (2 * hits) / (predicted + expected);
}

/** The mean of the labels' F1, each label seen against all others; labels that neither side has do not count. */
export function macroF1(predicted: readonly number[], expected: readonly number[]): number {
  const labels = [...new Set([...predicted, ...expected])];
  const scores = labels.map((label) => {
    const hits = predicted.filter((p, i) => p === label && expected[i] === label).length;
    const count = (all: readonly number[]) => all.filter((x) => x === label).length;
    return f1(hits, count(predicted), count(expected));
  });
  return scores.reduce((a, b) => a + b, 0) / labels.length;
}

/** Pearson's correlation; 0 where one side does not vary. */
export function pearson(xs: readonly number[], ys: readonly number[]): number {
  const mean = (all: readonly number[]) => all.reduce((a, b) => a + b, 0) / all.length;
  const [mx, my] = [mean(xs), mean(ys)];
  const sum = (f: (x: number, y: number) => number) => xs.reduce((total, x, i) => total + f(x - mx, ys[i]! - my), 0);
  const spread = Math.sqrt(sum((x) => x * x) * sum((_, y) => y * y));
  return spread === 0 ? 0 : sum((x, y) => x * y) / spread;
}

/** A labelled stretch of tokens, `end` not included. */
export interface Entity {
  readonly label: string;
  readonly start: number;
  readonly end: number;
}

/**
 * The entities of IOB2 tags: `B-X` begins one, `I-X` goes on with it or, where none of X is open, begins one (as CoNLL's evaluation has
 * it); tags without a prefix are one entity as long as they stay the same; `O` is none.
 */
export function entitiesOf(tags: readonly string[]): Entity[] {
  const found: { label: string; start: number; end: number }[] = [];
  let open: (typeof found)[number] | undefined;
  for (const [i, tag] of tags.entries()) {
    const [, prefix, label = tag] = /^([BI])-(.*)$/.exec(tag) ?? [];
    if (tag === "O") open = undefined;
    else if (open && open.label === label && prefix !== "B") open.end = i + 1;
    else {
      open = { label, start: i, end: i + 1 };
      found.push(open);
    }
  }
  return found;
}

/** Precision, recall and F1 over the entities of all texts: one is right when label, start and end are. */
export function entityScores(
  predicted: readonly (readonly string[])[],
  expected: readonly (readonly string[])[],
): { readonly precision: number; readonly recall: number; readonly f1: number } {
  const key = ({ label, start, end }: Entity) => `${start} ${end} ${label}`;
  let [hits, ours, theirs] = [0, 0, 0];
  for (const [i, tags] of predicted.entries()) {
    const right = new Set(entitiesOf(expected[i]!).map(key));
    const found = entitiesOf(tags).map(key);
    hits += found.filter((entity) => right.has(entity)).length;
    ours += found.length;
    theirs += right.size;
  }
  return {
    precision: ours === 0 ? 0 : hits / ours,
    recall: theirs === 0 ? 0 : hits / theirs,
    f1: f1(hits, ours, theirs),
  };
}

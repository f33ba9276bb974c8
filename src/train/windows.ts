import { TesseraError } from "../core/errors.js";
import type { HostTensor } from "../core/host-tensor.js";
import { type RandomStream, randomStream } from "../core/random-stream.js";
import type { EvaluationSet } from "./evaluate.js";
import { ignored } from "./objective.js";

/** Token ids, one after the other: 16 bits each where the vocabulary allows. */
export type Tokens = Uint16Array | Int32Array;

/** Examples to train on, in an endless order that depends on nothing but a seed. */
export interface TrainingSet {
  /** Examples in an epoch. */
  readonly size: number;
  /**
   * Writes an example into a row of a batch.
   *
   * @param position 0 for the first example of training, then on and on over the epochs: all that is needed to go on from a point
   */
  write(position: number, batch: Readonly<Record<string, HostTensor>>, row: number): void;
}

/** Nothing to train on: all of the data is evaluated. */
export const noExamples: TrainingSet = {
  size: 0,
  write() {
    throw new TesseraError("argument", "train: there are no examples to train on");
  },
};

/** Windows of a text: where each begins. */
export interface Windows {
  /** How many there are, for training in an epoch. */
  readonly size: number;
  /** Offset of the first token of a window. */
  start(position: number): number;
}

/**
 * Windows of `length` tokens and the token after each, in an endless order. Every epoch cuts the text at another offset into windows
 * side by side and takes each once, in an order of its own.
 *
 * @param where start of messages
 * @throws TesseraError `data` for fewer than `length + 1` tokens
 */
export function shuffledWindows(tokens: Tokens, length: number, seed: number, where: string): Windows {
  requireWindow(tokens, length, where);
  // One window less than would fit (unless it is the only one) leaves room to move the cuts by a whole window.
  const size = Math.max(1, Math.floor((tokens.length - 1) / length) - 1);
  const room = tokens.length - size * length; // offsets 0 … room − 1 leave a label for the last token
  let epoch = -1;
  let offset = 0;
  let order = new Uint32Array(0);
  const begin = (number: number) => {
    epoch = number;
    const random = randomStream(seed, `epoch ${number}`);
    offset = random.below(room);
    order = shuffled(size, random);
  };
  return {
    size,
    start(position) {
      const number = Math.floor(position / size);
      if (number !== epoch) begin(number);
      return offset + order[position - number * size]! * length;
    },
  };
}

/**
 * The text cut into windows from its beginning, the last one perhaps shorter; or, where there are more than `most`, that many at even
 * distances.
 *
 * @param least tokens there have to be
 * @throws TesseraError `data` for fewer than `least` tokens
 */
export function evenWindows(
  tokens: Tokens,
  length: number,
  most: number,
  where: string,
  least: number = length + 1,
): Windows {
  requireWindow(tokens, Math.min(length, least - 1), where);
  const all = Math.ceil((tokens.length - 1) / length);
  const size = Math.min(all, most);
  return { size, start: (index) => Math.floor((index * all) / size) * length };
}

/** An endless order over so many examples: each once in every epoch, in an order of the epoch's own. Gives the example at a position. */
export function endlessOrder(size: number, seed: number): (position: number) => number {
  let epoch = -1;
  let order = new Uint32Array(0);
  return (position) => {
    const number = Math.floor(position / size);
    if (number !== epoch) {
      epoch = number;
      order = shuffled(size, randomStream(seed, `epoch ${number}`));
    }
    return order[position - number * size]!;
  };
}

/** The numbers below `size` in an order of chance. */
export function shuffled(size: number, random: RandomStream): Uint32Array<ArrayBuffer> {
  const order = Uint32Array.from({ length: size }, (_, i) => i);
  for (let i = size - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** {@link shuffledWindows} as rows of `inputs`, and `labels` one place further. @throws TesseraError as they do */
export function trainingWindows(tokens: Tokens, length: number, seed: number, where: string): TrainingSet {
  const { size, start } = shuffledWindows(tokens, length, seed, where);
  return { size, write: (position, batch, row) => writeWindow(tokens, start(position), length, batch, row) };
}

/** {@link evenWindows} as rows of `inputs` and `labels`; labels after the text's end do not count. @throws TesseraError as they do */
export function evaluationWindows(
  tokens: Tokens,
  length: number,
  most: number,
  where: string,
  least?: number,
): EvaluationSet {
  const { size, start } = evenWindows(tokens, length, most, where, least);
  return { size, write: (index, batch, row) => writeWindow(tokens, start(index), length, batch, row) };
}

function requireWindow(tokens: Tokens, length: number, where: string): void {
  if (tokens.length < length + 1)
    throw new TesseraError(
      "data",
      `${where}: too little text, ${tokens.length} tokens for windows of ${length} and the token after (${tokens.length} vs ${length + 1})`,
    );
}

function writeWindow(
  tokens: Tokens,
  start: number,
  length: number,
  { inputs, labels }: Readonly<Record<string, HostTensor>>,
  row: number,
): void {
  const xs = inputs!.data as BigInt64Array;
  const ys = labels!.data as BigInt64Array;
  for (let i = 0; i < length; i++) {
    const at = start + i;
    xs[row * length + i] = BigInt(tokens[at] ?? 0);
    ys[row * length + i] = BigInt(tokens[at + 1] ?? ignored);
  }
}

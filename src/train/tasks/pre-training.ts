import { TesseraError } from "../../core/errors.js";
import type { HostTensor } from "../../core/host-tensor.js";
import { randomStream } from "../../core/random-stream.js";
import { inputLayout } from "../../text/input-layout.js";
import { documentsOf } from "../corpus.js";
import { headObjective } from "../head-objective.js";
import { ignored } from "../objective.js";
import { endlessOrder } from "../windows.js";
import { maskingOptions, maskTokens } from "./masking.js";
import type { TrainingTask } from "./task.js";
import { fillInput, fillRow, readTextData, requireSpecial, type TextData, trains } from "./text-data.js";

/**
 * BERT's pre-training (Devlin et al. 2019, section 3.1): masked tokens, and whether the second of two segments follows the first (label
 * 0) or comes from another place (label 1), half of the time each.
 */
export const preTraining: TrainingTask<TextData> = {
  name: "pre-training",
  head: "pre-training",
  tokenizer: "wordpiece",
  uses: ["separator", "mask_rate", "whole_word"],
  read: readTextData,
  prepare({ files }, context) {
    const { settings, tokenizer, where, onProgress } = context;
    const { context_length: length, seed, separator, validation } = settings;
    const layout = inputLayout(tokenizer);
    const pad = requireSpecial(context, "pad", "pre-training");
    const masking = maskingOptions(context, "pre-training");
    const room = length - layout.specials.pair;
    if (room < 2) throw new TesseraError("config", `context_length: ${length} leaves no room for two segments`);
    const documents = files.flatMap(({ text }) => documentsOf(text, separator ?? undefined));
    // Pieces of documents that hold two segments, each a part of its document and no other.
    const pieces = documents.flatMap((document, i) => {
      onProgress?.(i + 1, documents.length);
      const ids = tokenizer.encode(document, { addSpecialTokens: false });
      return Array.from({ length: Math.ceil(ids.length / room) }, (_, k) => ids.slice(k * room, (k + 1) * room));
    });
    const usable = pieces.filter((piece) => piece.length >= 2);
    const kept = usable.length - Math.round(usable.length * validation);
    const [training, held] = [usable.slice(0, kept), usable.slice(kept)];
    if ((trains(settings) && training.length < 2) || (validation > 0 && held.length < 2))
      throw new TesseraError(
        "data",
        `${where}: too little text for pairs of segments of ${room} tokens, ${usable.length} pieces (${trains(settings) ? "at least 2 for training, and 2 for validation" : "at least 2"})`,
      );
    const write = (
      all: readonly (readonly number[])[],
      index: number,
      stream: string,
      batch: Readonly<Record<string, HostTensor>>,
      row: number,
    ) => {
      const random = randomStream(seed, stream);
      const piece = all[index]!;
      const cut = 1 + random.below(piece.length - 1);
      const first = piece.slice(0, cut);
      const follows = random.next() < 0.5;
      const other = all[(index + 1 + random.below(all.length - 1)) % all.length]!;
      const second = follows ? piece.slice(cut) : other.slice(0, room - cut);
      const { ids, typeIds } = layout.pair(first, second);
      const { inputs, labels } = maskTokens(ids, random, masking);
      fillInput(batch, row, inputs, pad, typeIds);
      fillRow(batch, "labels", row, labels, ignored);
      fillRow(batch, "next_sentence_label", row, [follows ? 0 : 1], ignored);
    };
    const at = endlessOrder(training.length, seed);
    return {
      objective: headObjective({ task: "pre-training", length }),
      training: {
        size: training.length,
        write: (position, batch, row) => write(training, at(position), `row ${position}`, batch, row),
      },
      validation:
        validation === 0
          ? undefined
          : {
              size: Math.min(held.length, settings.eval_windows),
              write: (index, batch, row) => write(held, index, `validation row ${index}`, batch, row),
            },
      tokensPerRow: length,
    };
  },
};

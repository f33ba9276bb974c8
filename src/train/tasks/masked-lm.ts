import { inputLayout } from "../../text/input-layout.js";
import { headObjective } from "../head-objective.js";
import { ignored } from "../objective.js";
import { maskingOptions, maskTokens } from "./masking.js";
import type { TrainingTask } from "./task.js";
import {
  fillInput,
  fillRow,
  readTextData,
  requireSpecial,
  type TextData,
  tokenizedText,
  windowRows,
} from "./text-data.js";

/** Masked language modelling on running text, other tokens masked in every epoch (RoBERTa, Liu et al. 2019). */
export const maskedLm: TrainingTask<TextData> = {
  name: "masked-lm",
  head: "masked-lm",
  tokenizer: "wordpiece",
  uses: ["separator", "end_of_text", "validation_split", "mask_rate", "whole_word"],
  read: readTextData,
  prepare(data, context) {
    const { settings, tokenizer } = context;
    const length = settings.context_length;
    const layout = inputLayout(tokenizer);
    const options = maskingOptions(context, "masked-lm");
    const pad = requireSpecial(context, "pad", "masked-lm");
    const rows = windowRows(
      tokenizedText(data, context),
      context,
      length - layout.specials.single,
      (window, random, batch, row) => {
        const { ids, typeIds } = layout.single([...window]);
        const { inputs, labels } = maskTokens(ids, random, options);
        fillInput(batch, row, inputs, pad, typeIds);
        fillRow(batch, "labels", row, labels, ignored);
      },
    );
    return { objective: headObjective({ task: "masked-lm", length }), ...rows, tokensPerRow: length };
  },
};

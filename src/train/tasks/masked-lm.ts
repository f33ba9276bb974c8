import { inputLayout } from "../../text/input-layout.js";
import { headObjective } from "../head-objective.js";
import { ignored } from "../objective.js";
import { continuingTokens, maskTokens, ordinaryTokens } from "./masking.js";
import type { TrainingTask } from "./task.js";
import { fillRow, readTextData, requireSpecial, type TextData, tokenizedText, windowRows } from "./text-data.js";

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
    const [mask, pad] = [requireSpecial(context, "mask", "masked-lm"), requireSpecial(context, "pad", "masked-lm")];
    const options = {
      mask,
      rate: settings.mask_rate ?? 0.15,
      ordinary: ordinaryTokens(tokenizer),
      special: tokenizer.specialIds,
      continues: settings.whole_word ? continuingTokens(tokenizer) : undefined,
    };
    const rows = windowRows(
      tokenizedText(data, context),
      context,
      length - layout.specials.single,
      (window, random, batch, row) => {
        const { ids, typeIds } = layout.single([...window]);
        const { inputs, labels } = maskTokens(ids, random, options);
        fillRow(batch, "input_ids", row, inputs, pad);
        fillRow(
          batch,
          "attention_mask",
          row,
          ids.map(() => 1),
          0,
        );
        fillRow(batch, "token_type_ids", row, typeIds, 0);
        fillRow(batch, "labels", row, labels, ignored);
      },
    );
    return { objective: headObjective({ task: "masked-lm", length }), ...rows, tokensPerRow: length };
  },
};

import type { Command } from "commander";
import type { AggregationStrategy, Entity, EntityGroup } from "../pipeline/index.js";
import { choice, whole } from "./options.js";
import { addVerb, runVerb, scoreBar, under, type VerbFlags } from "./verb.js";

interface Flags extends VerbFlags {
  readonly aggregation: AggregationStrategy;
  readonly stride?: number;
}

/** `tessera tag`. */
export function addTag(program: Command): void {
  addVerb(program, "tag", "mark names, parts of speech or what else a model for token classification knows", "texts")
    .option(
      "--aggregation <how>",
      "none: every token; simple: neighbours of one label together; first, average, max: whole words",
      choice("--aggregation", "none", "simple", "first", "average", "max"),
      "simple",
    )
    .option(
      "--stride <n>",
      "read long texts in windows that share n tokens (default: they are cut)",
      whole("--stride", { min: 0 }),
    )
    .addHelpText(
      "after",
      `
Examples:
  tessera tag --model my-ner "Ahab sails from Nantucket."
  tessera tag --model my-ner --aggregation first --json < letters.txt`,
    )
    .action((texts: readonly string[], flags: Flags) => {
      const { aggregation, stride } = flags;
      const more = stride === undefined ? {} : { stride };
      return runVerb<"token-classification", readonly (Entity | EntityGroup)[]>(
        "token-classification",
        texts,
        flags,
        (tag, some) =>
          aggregation === "none"
            ? tag(some, { aggregationStrategy: "none", ...more })
            : tag(some, { aggregationStrategy: aggregation, ...more }),
        (entities, text) =>
          aggregation === "none"
            ? under(
                text,
                entities.map((e) => `${scoreBar(e.score)} ${labelOf(e)}  ${text.slice(e.start, e.end)}`),
              )
            : marked(text, entities),
      );
    });
}

const labelOf = (entity: Entity | EntityGroup) => ("entity" in entity ? entity.entity : entity.entity_group);

/** `[Ahab PER] sails from [Nantucket LOC].` */
function marked(text: string, entities: readonly (Entity | EntityGroup)[]): string {
  let [out, at] = ["", 0];
  for (const entity of entities) {
    // The space in front of a token belongs to it, not to the name.
    const start = entity.start + /^\s*/.exec(text.slice(entity.start, entity.end))![0].length;
    out += `${text.slice(at, start)}[${text.slice(start, entity.end)} ${labelOf(entity)}]`;
    at = entity.end;
  }
  return out + text.slice(at);
}

import { TesseraError } from "../core/errors.js";
import type { HostTensor } from "../core/host-tensor.js";
import { readComponent } from "../text/component.js";
import { decoder } from "../text/decoders.js";
import { tokenSpans } from "../text/offsets.js";
import { checkInputs, checkOptions, type OptionNames, text } from "./check-call.js";
import { openEncoder } from "./encoder-session.js";
import { type AggregationStrategy, type Entity, type EntityGroup, groupEntities, tagTokens } from "./entities.js";
import type { OpenedModel } from "./open-model.js";
import { softmax } from "./probabilities.js";
import { textInput } from "./text-input.js";

/** How tokens are classified. */
export interface TokenClassifyOptions {
  /**
   * What becomes of neighbouring tokens with one label: nothing (`none`), one entity (`simple`), or one entity of whole words, whose label
   * is that of their first token (`first`), of their mean (`average`) or of their surest token (`max`). Default `none`.
   */
  readonly aggregationStrategy?: AggregationStrategy;
  /** Labels that are left out. Default `O`. */
  readonly ignoreLabels?: readonly string[];
  /**
   * Read texts longer than the model in windows that share this many tokens; needs an aggregation strategy. Default: the text is cut to
   * what the model reads.
   */
  readonly stride?: number;
  readonly signal?: AbortSignal;
}

type Grouped = TokenClassifyOptions & { readonly aggregationStrategy: Exclude<AggregationStrategy, "none"> };

/** The labelled tokens of a text, or its entities. */
export interface TokenClassification {
  (text: string, options: Grouped): Promise<readonly EntityGroup[]>;
  (texts: readonly string[], options: Grouped): Promise<readonly (readonly EntityGroup[])[]>;
  (
    text: string,
    options?: TokenClassifyOptions & { readonly aggregationStrategy?: "none" },
  ): Promise<readonly Entity[]>;
  (
    texts: readonly string[],
    options?: TokenClassifyOptions & { readonly aggregationStrategy?: "none" },
  ): Promise<readonly (readonly Entity[])[]>;
}

const optionNames: OptionNames<TokenClassifyOptions> = {
  aggregationStrategy: true,
  ignoreLabels: true,
  stride: true,
  signal: true,
};

const strategies: readonly AggregationStrategy[] = ["none", "simple", "first", "average", "max"];

export async function openTokenClassification(opened: OpenedModel): Promise<TokenClassification & Disposable> {
  const { model, tokenizer, where } = opened;
  const session = await openEncoder(opened, ({ logits }) => ({ logits: logits! }));
  const { layout, limit } = textInput(opened);
  const names = model.facts.labels?.names ?? [];
  const spec = tokenizer.json.decoder ? readComponent(tokenizer.json.decoder, "tokenizer.json: decoder") : null;
  const decode = decoder(spec);
  const join = (tokens: readonly string[]) => {
    const decoding = decode();
    return decoding.push(tokens).join("") + decoding.flush().join("");
  };
  const { json } = tokenizer;
  const prefixed = "continuing_subword_prefix" in json.model && Boolean(json.model.continuing_subword_prefix);

  async function tag(given: readonly string[], options: TokenClassifyOptions): Promise<(Entity | EntityGroup)[][]> {
    const { aggregationStrategy = "none", ignoreLabels = ["O"], stride, signal } = options;
    if (!strategies.includes(aggregationStrategy))
      throw new TesseraError(
        "argument",
        `${where}: aggregationStrategy must be one of ${strategies.join(", ")}, got ${String(aggregationStrategy)}`,
      );
    if (stride !== undefined && aggregationStrategy === "none")
      throw new TesseraError("argument", `${where}: stride needs an aggregationStrategy, for windows share tokens`);
    const room = limit - layout().specials.single;
    if (stride !== undefined && !(Number.isSafeInteger(stride) && stride >= 0 && stride < room))
      throw new TesseraError("argument", `${where}: stride must be a whole number below ${room}, got ${stride}`);

    const windows = given.flatMap((text, row) => {
      const ids = tokenizer.encode(text, { addSpecialTokens: false });
      const spans = tokenSpans(tokenizer, text);
      const starts = [0];
      if (stride !== undefined) while (starts.at(-1)! + room < ids.length) starts.push(starts.at(-1)! + room - stride);
      return starts.map((start) => {
        const own = ids.slice(start, start + room);
        return { row, own, spans: spans.slice(start, start + own.length), laid: layout().single(own) };
      });
    });
    const results = await session.run(
      windows.map(({ laid }) => laid),
      ["logits"],
      signal,
    );
    const entities = given.map((): (Entity | EntityGroup)[][] => []);
    for (const [w, { row, own, spans, laid }] of windows.entries()) {
      const first = laid.offsets[0];
      const tokens = own.map((id, i) => ({
        token: tokenizer.tokenOf(id)!,
        unknown: id === tokenizer.specialTokens.unk,
        index: first + i,
        scores: softmax(vectorAt(results[w]!.logits!, first + i)),
        ...spans[i]!,
      }));
      const tagged = tagTokens(given[row]!, tokens, { strategy: aggregationStrategy, names, join, prefixed });
      const found = aggregationStrategy === "none" ? tagged : groupEntities(tagged, join);
      entities[row]!.push(found.filter((e) => !ignoreLabels.includes("entity" in e ? e.entity : e.entity_group)));
    }
    return entities.map((parts) => (parts.length > 1 ? withoutOverlaps(parts.flat()) : parts.flat()));
  }

  const call = async (given: string | readonly string[], options: TokenClassifyOptions = {}) => {
    checkInputs(where, given, text);
    checkOptions(where, options, optionNames);
    return typeof given === "string" ? (await tag([given], options))[0]! : tag(given, options);
  };
  return Object.assign(call as TokenClassification, { [Symbol.dispose]: () => session[Symbol.dispose]() });
}

/** Of entities that overlap, seen in two windows, the longer one, or of equally long ones the surer. */
function withoutOverlaps<E extends Entity | EntityGroup>(entities: readonly E[]): E[] {
  const kept: E[] = [];
  for (const entity of [...entities].sort((a, b) => a.start - b.start)) {
    const last = kept.at(-1);
    if (last === undefined || !(last.start <= entity.start && entity.start < last.end)) {
      kept.push(entity);
      continue;
    }
    const longer = entity.end - entity.start - (last.end - last.start);
    if (longer > 0 || (longer === 0 && entity.score > last.score)) kept[kept.length - 1] = entity;
  }
  return kept;
}

/** Row `i` of `[t, n]`. */
function vectorAt({ shape, data }: HostTensor, i: number): Float32Array {
  const n = shape[1]!;
  return (data as Float32Array).subarray(i * n, (i + 1) * n);
}

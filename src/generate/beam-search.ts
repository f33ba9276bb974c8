import type { RunOptions } from "../runtime/session.js";
import type { Decoder } from "./decoder.js";
import { logNormalize } from "./logits-processors.js";
import { type TokenLogprobs, tokenLogprobs } from "./logprobs.js";
import type { OpenText } from "./open-text.js";

/** How beams are searched. */
export interface BeamSettings {
  readonly numBeams: number;
  /** A finished text's score is its log-probability divided by its length to this power: above 0 long texts gain. */
  readonly lengthPenalty: number;
  /** The search ends with as many finished texts as beams (true), when a better one is unlikely (false), or when it is impossible (`"never"`). */
  readonly earlyStopping: boolean | "never";
  /** How many of the most probable tokens each result names with its own; undefined: no log-probabilities. */
  readonly logprobs: number | undefined;
}

/** One prompt of a beam search. Its processors change the log-probabilities of the next token. */
export interface BeamPrompt extends OpenText {
  readonly eos: readonly number[];
}

/** A text that the search found. */
export interface BeamResult {
  /** The generated tokens, without the prompt. */
  readonly ids: readonly number[];
  readonly score: number;
  readonly logprobs?: readonly TokenLogprobs[];
}

/**
 * Beam search (Graves 2012; as transformers does it): keeps the `numBeams` most probable texts of each length and returns the best
 * finished ones, best first, as many as beams, for each prompt. Every prompt has `numBeams` rows of the decoder, which are those of one
 * source.
 */
export async function beamSearch(
  decoder: Decoder,
  prompts: readonly BeamPrompt[],
  settings: BeamSettings,
  run: RunOptions,
): Promise<readonly (readonly BeamResult[])[]> {
  const { numBeams } = settings;
  const searches = prompts.map((prompt) => openSearch(prompt, settings));
  // Which row holds the text of a beam: beams change their order more often than rows are copied.
  const rows = prompts.map((_, p) => Array.from({ length: numBeams }, (_, beam) => p * numBeams + beam));
  const advance = (p: number, logits: readonly Float32Array[], atPrompt = false): void => {
    const chosen = searches[p]!.advance(logits);
    if (!searches[p]!.open) return;
    const parents = atPrompt ? chosen.map(() => 0) : chosen; // only the first row has read it, for all
    const old = rows[p]!;
    const free = old.filter((_, beam) => !parents.includes(beam));
    rows[p] = parents.map((parent, beam) => {
      if (parents.indexOf(parent) === beam) return old[parent]!;
      const row = free.pop()!;
      decoder.copyRow(old[parent]!, row);
      return row;
    });
  };

  for (const [p, { source, begin }] of prompts.entries()) {
    if (source) {
      await decoder.read(p, source, run); // the targets start together, in the first step
      continue;
    }
    const logits = await decoder.append(rows[p]![0]!, begin, run);
    advance(
      p,
      Array.from({ length: numBeams }, () => logits.slice()),
      true,
    );
  }
  while (searches.some((search) => search.open)) {
    const next: (number | undefined)[] = Array(decoder.batch).fill(undefined);
    for (const [p, search] of searches.entries())
      if (search.open) for (const [beam, id] of search.tokens().entries()) next[rows[p]![beam]!] = id;
    const logits = await decoder.step(next, run);
    for (const [p, search] of searches.entries())
      if (search.open)
        advance(
          p,
          rows[p]!.map((row) => logits[row]!),
        );
  }
  return searches.map((search) => search.results());
}

/** A text being continued. */
interface Beam {
  readonly ids: readonly number[];
  readonly score: number;
  /** Of the tokens, where they are asked for. */
  readonly logprobs: readonly TokenLogprobs[];
}

/** A text that ended, or a place for one. */
interface Finished extends Beam {
  readonly done: boolean;
}

/** The search of one prompt, step by step. */
interface Search {
  /** Whether it goes on. */
  readonly open: boolean;
  /** The last token of each beam. */
  tokens(): readonly number[];
  /**
   * Continues the beams by a token.
   *
   * @param logits of each beam, overwritten
   * @returns for each new beam the one it continues
   */
  advance(logits: readonly Float32Array[]): readonly number[];
  results(): readonly BeamResult[];
}

/** Far below every score: what is out of the question, yet ordered. */
const OUT = -1e9;
const f32 = Math.fround; // scores are single precision, so that near ties fall as they do in the original

function openSearch(
  { begin, left: maxNewTokens, eos, process }: BeamPrompt,
  { numBeams, lengthPenalty, earlyStopping, logprobs: wanted }: BeamSettings,
): Search {
  // Enough candidates that beams are left to continue where all of the best ones end.
  const width = Math.max(2, 1 + eos.length) * numBeams;
  // Only the first beam is real at the start: the others would find the same texts.
  let beams: readonly Beam[] = Array.from({ length: numBeams }, (_, i) => ({
    ids: [],
    score: i === 0 ? 0 : OUT,
    logprobs: [],
  }));
  let finished: readonly Finished[] = beams.map((beam) => ({ ...beam, score: OUT, done: false }));
  let promising = true;
  let open = true;

  return {
    get open() {
      return open;
    },
    tokens: () => beams.map(({ ids }) => ids.at(-1) ?? begin.at(-1)!),
    advance(logits) {
      const length = beams[0]!.ids.length + 1;
      const raw = wanted === undefined ? undefined : logits.map((x) => x.slice());
      for (const [i, { ids }] of beams.entries()) {
        logNormalize(logits[i]!);
        process(logits[i]!, [...begin, ...ids]);
      }
      const extend = ({ beam, token }: Candidate) => ({
        ids: [...beams[beam]!.ids, token],
        logprobs: raw ? [...beams[beam]!.logprobs, tokenLogprobs(raw[beam]!, token, wanted!)] : [],
      });
      const best = candidates(logits, beams, width);
      const ends = best.map(({ token }) => length >= maxNewTokens || eos.includes(token));

      const full = finished.every(({ done }) => done) && earlyStopping === true;
      const ended = best.map((candidate, i): Finished => {
        const done = ends[i]! && i < numBeams;
        const out = [full, !promising, !done].filter(Boolean).length;
        let total = f32(candidate.score / f32(length ** lengthPenalty));
        for (let k = 0; k < out; k++) total = f32(total + OUT);
        return { ...(done ? extend(candidate) : { ids: [], logprobs: [] }), score: total, done };
      });
      // Of equals an earlier text goes before a later one, and any before a place for one.
      const [texts, places] = [true, false].map((isText) => finished.filter(({ done }) => done === isText));
      finished = highest([...texts!, ...ended, ...places!], numBeams);

      const continued = best.map((candidate, i) => ({
        ...candidate,
        score: ends[i] ? f32(candidate.score + OUT) : candidate.score,
      }));
      const chosen = highest(continued, numBeams);
      beams = chosen.map((candidate) => ({ ...extend(candidate), score: candidate.score }));

      const reach = earlyStopping === "never" && lengthPenalty > 0 ? maxNewTokens : length;
      const hope = f32(beams[0]!.score / f32(reach ** lengthPenalty));
      const worst = Math.min(...finished.map(({ score }) => score));
      promising &&= finished.some(({ done }) => hope > (done ? worst : OUT));
      open = promising && !(earlyStopping === true && finished.every(({ done }) => done)) && !ends.every(Boolean);
      return chosen.map(({ beam }) => beam);
    },
    results: () =>
      finished.map(({ ids, score, logprobs }) => ({ ids, score, ...(wanted === undefined ? {} : { logprobs }) })),
  };
}

/** A beam and a token to continue it with. */
interface Candidate {
  readonly beam: number;
  readonly token: number;
  readonly score: number;
}

/** The `width` best continuations of all beams, best first; of equals the first. */
function candidates(
  logProbabilities: readonly Float32Array[],
  beams: readonly Beam[],
  width: number,
): readonly Candidate[] {
  const best: Candidate[] = [];
  for (const [beam, { score: before }] of beams.entries()) {
    const values = logProbabilities[beam]!;
    for (let token = 0; token < values.length; token++) {
      const score = f32(values[token]! + before);
      if (best.length === width && !(score > best[width - 1]!.score)) continue;
      let at = best.length;
      while (at > 0 && best[at - 1]!.score < score) at--;
      best.splice(at, 0, { beam, token, score });
      if (best.length > width) best.pop();
    }
  }
  return best;
}

/** The `count` with the highest scores, highest first; of equals the first. */
function highest<T extends { readonly score: number }>(all: readonly T[], count: number): readonly T[] {
  return [...all].sort((a, b) => b.score - a.score).slice(0, count);
}

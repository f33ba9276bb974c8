import { TesseraError } from "../core/errors.js";
import { quote } from "../core/quote.js";

/** The names of all options there are, complete by its type. */
export type OptionNames<O> = { readonly [K in keyof O]-?: true };

/** What one input of a pipeline is. */
export interface InputKind {
  /** For messages: `a text`. */
  readonly expected: string;
  ok(value: unknown): boolean;
}

const has = (value: unknown, ...names: readonly string[]) =>
  typeof value === "object" &&
  value !== null &&
  names.every((name) => typeof (value as Record<string, unknown>)[name] === "string");

export const text: InputKind = { expected: "a text", ok: (value) => typeof value === "string" };

export const textOrPair: InputKind = {
  expected: "a text or { text, pair }",
  ok: (value) => text.ok(value) || has(value, "text", "pair"),
};

export const question: InputKind = {
  expected: "{ question, context }, both texts",
  ok: (value) => has(value, "question", "context"),
};

export const prompt: InputKind = {
  expected: "a text or a list of messages { role, content }",
  ok: (value) => text.ok(value) || (Array.isArray(value) && value.every((message) => has(message, "role"))),
};

/** @throws TesseraError `argument` for what is neither an input nor a list of inputs */
export function checkInputs(where: string, given: unknown, { expected, ok }: InputKind): void {
  if (ok(given)) return;
  if (!Array.isArray(given))
    throw new TesseraError("argument", `${where}: called with ${described(given)} (${expected}, or a list, expected)`);
  const wrong = given.findIndex((one) => !ok(one));
  if (wrong >= 0)
    throw new TesseraError("argument", `${where}: input ${wrong} is ${described(given[wrong])} (${expected} expected)`);
}

/**
 * Refuses options that a pipeline does not have: one that is misspelt, or spelt as in Python, would be passed over.
 *
 * @throws TesseraError `argument` naming the options there are
 */
export function checkOptions<O extends object>(where: string, options: O, names: OptionNames<O>): void {
  if (typeof options !== "object" || options === null)
    throw new TesseraError("argument", `${where}: options are an object, got ${described(options)}`);
  const strange = Object.keys(options).find((name) => !Object.hasOwn(names, name));
  if (strange !== undefined)
    throw new TesseraError(
      "argument",
      `${where}: there is no option ${strange} (it has ${Object.keys(names).join(", ")})`,
    );
}

const described = (value: unknown) => (value === undefined ? "nothing" : quote(value));

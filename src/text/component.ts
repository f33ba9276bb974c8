import { TesseraError } from "../core/errors.js";

/** A part of tokenizer.json that is chosen by its `type`: normalizer, pre-tokenizer, post-processor or decoder. */
export interface Component {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** Reads the fields of a {@link Component}, naming file and field where one is not what it should be. */
export interface ComponentReader {
  readonly type: string;
  /** Where the component stands, for messages: `tokenizer.json: decoder.decoders[1]`. */
  readonly where: string;
  string(field: string, fallback?: string): string;
  boolean(field: string, fallback: boolean): boolean;
  integer(field: string, fallback?: number): number;
  oneOf<const T extends string>(field: string, values: readonly T[], fallback: T): T;
  object(field: string): Readonly<Record<string, unknown>>;
  list(field: string): readonly unknown[];
  components(field: string): ComponentReader[];
  unsupported(): TesseraError;
}

/** Whether a value is an object with fields: not null, not an array. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value as it appears in a message, on one line and not long. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/**
 * Starts reading a component.
 *
 * @throws TesseraError `tokenizer` where it is not an object with a `type`.
 */
export function readComponent(value: unknown, where: string): ComponentReader {
  if (!isRecord(value) || typeof value.type !== "string") {
    throw new TesseraError("tokenizer", `${where}: expected an object with a "type", got ${shown(value)}`);
  }
  const { type } = value;
  function field<T>(name: string, expected: string, is: (x: unknown) => x is T, fallback: T | undefined): T {
    const found = value as Readonly<Record<string, unknown>>;
    const x = Object.hasOwn(found, name) ? found[name] : undefined;
    if (is(x)) return x;
    if ((x === undefined || x === null) && fallback !== undefined) return fallback;
    throw new TesseraError("tokenizer", `${where}.${name}: expected ${expected} in ${type}, got ${shown(x)}`);
  }
  const isString = (x: unknown) => typeof x === "string";
  const list = (name: string) => field(name, "a list", (x): x is unknown[] => Array.isArray(x), undefined);
  return {
    type,
    where,
    string: (name, fallback) => field(name, "a string", isString, fallback),
    boolean: (name, fallback) => field(name, "true or false", (x) => typeof x === "boolean", fallback),
    integer: (name, fallback) =>
      field(name, "a whole number ≥ 0", (x): x is number => Number.isSafeInteger(x) && (x as number) >= 0, fallback),
    oneOf: (name, values, fallback) =>
      field(
        name,
        `one of ${values.join(", ")}`,
        (x): x is (typeof values)[number] => values.some((v) => v === x),
        fallback,
      ),
    object: (name) => field(name, "an object", isRecord, undefined),
    list,
    components: (name) => list(name).map((part, i) => readComponent(part, `${where}.${name}[${i}]`)),
    unsupported: () => new TesseraError("unsupported", `${where}: type ${shown(type)} is not supported`),
  };
}

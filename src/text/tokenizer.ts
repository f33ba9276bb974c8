/** A model's input: three arrays of one length. */
export interface Encoding {
  readonly ids: readonly number[];
  /** Which text of a pair a token belongs to, 0 or 1, as the model was trained to see it. */
  readonly typeIds: readonly number[];
  readonly tokens: readonly string[];
}

/** What surrounds a text when it is encoded. */
export interface EncodeOptions {
  /** Whether the special tokens of the model's input (`[CLS]`, `<s>`, …) are set around the text. Default true. */
  readonly addSpecialTokens?: boolean;
}

/** What decoding leaves out. */
export interface DecodeOptions {
  /** Whether special tokens are left out of the text. Default false. */
  readonly skipSpecialTokens?: boolean;
}

/** The ids of the special tokens that have a known role; undefined where there is no such token. */
export type SpecialTokens = Readonly<Record<SpecialRole, number | undefined>>;

/** The roles special tokens have. */
export type SpecialRole = (typeof specialRoles)[number];

/** Beginning and end of a text, unknown, separator, padding, classification, mask. */
export const specialRoles = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"] as const;

/** Decodes tokens as they come. */
export interface DecodeStream {
  /**
   * Takes the next token and returns the text that is now certain: never part of a character, often nothing.
   *
   * All that is returned, with {@link flush} at the end, is what decoding all tokens at once returns.
   */
  push(id: number): string;
  /** The rest of the text: what was waiting for another token. Ends the stream. */
  flush(): string;
}

/** Text to token ids and back. */
export interface Tokenizer {
  /** One more than the largest id: the size of an embedding that holds every token. */
  readonly vocabSize: number;
  /** The ids of special tokens by role. */
  readonly specialTokens: SpecialTokens;
  /** The ids that `skipSpecialTokens` leaves out. */
  readonly specialIds: ReadonlySet<number>;

  /**
   * The ids of a text. Lone surrogates count as U+FFFD. Linear in the length of the text.
   *
   * @throws TesseraError `tokenizer` where the text holds what the vocabulary cannot express and no token stands for
   * the unknown.
   */
  encode(text: string, options?: EncodeOptions): number[];

  /** Ids, type ids and tokens of a text, or of a pair of texts set one behind the other as the tokenizer joins them. */
  encoding(text: string, options?: EncodeOptions & { readonly pair?: string }): Encoding;

  /** The text of ids. Ids without a token count for nothing. Linear in the number of ids. */
  decode(ids: Iterable<number>, options?: DecodeOptions): string;

  /**
   * Starts decoding ids as they come.
   *
   * @param options.after ids that stand before the stream, a prompt for example: the stream then returns what follows
   * their text, with the space between words that a tokenizer drops at the start of a text
   */
  stream(options?: DecodeOptions & { readonly after?: Iterable<number> }): DecodeStream;

  /** The id of a token; undefined if there is none. */
  idOf(token: string): number | undefined;

  /** The token of an id, as the vocabulary spells it; undefined if there is none. */
  tokenOf(id: number): string | undefined;
}

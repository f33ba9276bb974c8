/** What kind of fault a {@link TesseraError} reports; stable, for programs. */
export type ErrorCode =
  | "shape" //       sizes that do not fit together
  | "dtype" //       element types that do not fit together
  | "argument" //    a value outside what a function accepts
  | "unsupported" // understood, and refused
  | "config" //      a model or run configuration that is wrong
  | "checkpoint" //  weights that do not match the model, or a damaged file of weights
  | "tokenizer" //   a tokenizer file that is damaged, or text it cannot encode
  | "data" //        a corpus or data set that cannot be used
  | "io" //          a file that cannot be read or written
  | "runtime" //     the engine refused or failed
  | "aborted" //     an AbortSignal fired
  | "diverged"; //   training reached NaN or infinity

/**
 * The one error class of the library.
 *
 * Messages read `<where>: <what>, <both values> (<the part that differs>)[. <what to do>]`, for example
 * `h.0.attn.c_attn.matmul: inner sizes differ, [b, t, 768] @ [512, 2304] (768 vs 512)`.
 */
export class TesseraError extends Error {
  override readonly name = "TesseraError";

  constructor(
    /** The kind of fault. */
    readonly code: ErrorCode,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
  }
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

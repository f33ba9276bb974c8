import type { DType } from "../core/dtype.js";
import type { HostTensor } from "../core/host-tensor.js";

/** What a session says about one of its inputs or outputs. */
export interface ValueInfo {
  readonly name: string;
  readonly dtype: DType;
  /** Named sizes appear as names; a size that is neither known nor named is `"?"`. */
  readonly shape: readonly (number | string)[];
}

/** How a graph is compiled. */
export interface SessionOptions {
  /**
   * Threads one operator may use. Default: those of the pool that all sessions share, one for each physical core the process may
   * use. A number gives the session threads of its own, which compete with the pool's for a moment after each run.
   */
  readonly threads?: number;
  /** Graph optimization of the engine. Default `"all"`. */
  readonly optimization?: "none" | "basic" | "extended" | "all";
  /** Record the time of every operator; read it with {@link Session.profile}. Default false. */
  readonly profile?: boolean;
  /**
   * Data of initializers that the model declares as external: name → tensor. The arrays are used in place, not copied, and are
   * kept referenced until the session is disposed; they must not change while it lives.
   *
   * The model declares such an initializer as a `TensorProto` in `graph.initializer` with `name`, `data_type` and `dims`, no data
   * of any kind, `data_location = EXTERNAL` (field 14 = 1), and one `external_data` entry (field 13) with key `location`; its
   * value may be any relative file name, since no file is read. Offset and length are not needed.
   */
  readonly initializers?: Readonly<Record<string, HostTensor>>;
  /** Session settings in the engine's own words, for what has no option here. Default none. */
  readonly config?: Readonly<Record<string, string>>;
}

/** One operator's share of a profiled run. */
export interface OperatorTime {
  /** ONNX operator type, such as `MatMul`. */
  readonly operator: string;
  /** Calls counted. */
  readonly calls: number;
  /** Total time in milliseconds. */
  readonly milliseconds: number;
}

/** How one run goes. */
export interface RunOptions {
  /**
   * Ends the run early, between two operators; the call then throws TesseraError `aborted`, and outputs (and arrays updated in
   * place) hold a mixture of old and new. A run that finishes before it notices counts as finished. An already aborted signal
   * never runs.
   */
  readonly signal?: AbortSignal;
}

/**
 * Inputs and outputs tied to memory once and run many times: the fastest way to repeat a step.
 * Change the contents of the typed arrays between runs; shapes stay. An input and an output may be the same array.
 * One run at a time; the arrays are kept referenced until it is disposed.
 */
export interface Binding extends Disposable {
  /**
   * Runs on another thread; the event loop stays free.
   *
   * @throws TesseraError `aborted` by the signal; `runtime` when the engine fails, the binding is disposed or already running
   */
  run(options?: RunOptions): Promise<void>;
  /**
   * Runs on this thread, blocking it; saves the hand-over to another thread.
   *
   * @throws TesseraError `runtime` when the engine fails, the binding is disposed or already running
   */
  runSync(): void;
  /** Frees what the binding holds, after the run under way if there is one; the arrays stay the caller's. May be called again. */
  dispose(): void;
}

/** A compiled graph. Its runs and bindings are independent of each other and may overlap. */
export interface Session extends Disposable {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /**
   * Ties every input, and any of the outputs, to arrays of the caller. Outputs that are not named here are computed and dropped.
   *
   * @throws TesseraError `argument` for a missing or unknown name, `dtype` or `shape` for a tensor that does not fit, also when one
   *   named size would stand for two numbers
   */
  bind(inputs: Readonly<Record<string, HostTensor>>, outputs: Readonly<Record<string, HostTensor>>): Binding;
  /**
   * Runs once, on another thread, and returns the named outputs (all of them by default) in fresh arrays, with the shapes the
   * run gave them.
   *
   * @throws TesseraError as {@link Session.bind} and {@link Binding.run} do
   */
  run(
    inputs: Readonly<Record<string, HostTensor>>,
    options?: RunOptions & { readonly outputs?: readonly string[] },
  ): Promise<Record<string, HostTensor>>;
  /**
   * Ends profiling and returns the time by operator type, longest first. Once only.
   *
   * @throws TesseraError `argument` without `profile: true` or the second time
   */
  profile(): readonly OperatorTime[];
  /**
   * Frees the native session and all that belongs to it, its bindings too, after the runs under way; nothing of it can be used
   * from then on. May be called again.
   */
  dispose(): void;
}

/** An engine: compiles serialized ONNX models (a `ModelProto`) into sessions. */
export interface Runtime {
  /** What runs the graphs, for reports: `"ONNX Runtime 1.30.0 (cpu)"`. */
  readonly description: string;
  /**
   * @throws TesseraError `runtime` with the engine's own words when the model is refused; `argument`, `dtype` or `shape` for
   *   options that are wrong
   */
  compile(model: Uint8Array, options?: SessionOptions): Promise<Session>;
}

import type { DType, TypedArray } from "../core/dtype.js";

/** A tensor in this process's memory: a typed array with a shape. The runtime reads and writes `data` itself, without a copy. */
export interface HostTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}

/** What a session says about one of its inputs or outputs. Named sizes appear as names. */
export interface ValueInfo {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly (number | string)[];
}

/** How a graph is compiled. */
export interface SessionOptions {
  /** Threads one operator may use. Default: the number of physical cores the process may use. */
  readonly threads?: number;
  /** Graph optimization of the engine. Default `"all"`. */
  readonly optimization?: "none" | "basic" | "extended" | "all";
  /** Record the time of every operator; read it with {@link Session.profile}. Default false. */
  readonly profile?: boolean;
  /**
   * Data of initializers that the model declares as external: name → tensor. The arrays are used in place, not copied, and are
   * kept referenced until the session is disposed.
   */
  readonly initializers?: Readonly<Record<string, HostTensor>>;
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
  /** Ends the run early; the call then throws TesseraError `aborted`. */
  readonly signal?: AbortSignal;
}

/**
 * Inputs and outputs tied to memory once and run many times: the fastest way to repeat a step.
 * Change the contents of the typed arrays between runs; shapes stay. An input and an output may be the same array.
 */
export interface Binding extends Disposable {
  /** Runs on a thread of the engine; the event loop stays free. */
  run(options?: RunOptions): Promise<void>;
  /** Runs on this thread, blocking it: a few microseconds less a call. */
  runSync(): void;
}

/** A compiled graph. Sessions are safe to run again and again, one run at a time for each binding. */
export interface Session extends Disposable {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /**
   * Ties every input, and any of the outputs, to arrays of the caller. Outputs that are not named here are computed and dropped.
   *
   * @throws TesseraError `argument` for a missing or unknown name, `dtype` or `shape` for a tensor that does not fit
   */
  bind(inputs: Readonly<Record<string, HostTensor>>, outputs: Readonly<Record<string, HostTensor>>): Binding;
  /** Runs once and returns the named outputs (all of them by default) in fresh arrays, with the shapes the run gave them. */
  run(
    inputs: Readonly<Record<string, HostTensor>>,
    options?: RunOptions & { readonly outputs?: readonly string[] },
  ): Promise<Record<string, HostTensor>>;
  /** Ends profiling and returns the time by operator type, longest first. Needs `profile: true`; once only. */
  profile(): readonly OperatorTime[];
  /** Frees the native session and all that belongs to it. Bindings of it may not be used afterwards. */
  dispose(): void;
}

/** An engine: compiles serialized ONNX models (a `ModelProto`) into sessions. */
export interface Runtime {
  /** What runs the graphs, for reports: `"ONNX Runtime 1.30.0 (cpu)"`. */
  readonly description: string;
  /** @throws TesseraError `runtime` with the engine's own words when the model is refused */
  compile(model: Uint8Array, options?: SessionOptions): Promise<Session>;
}

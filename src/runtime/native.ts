import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import koffi from "koffi";
import { allocate, type DType, dtypes, onnxTypeCode, type TypedArray } from "../core/dtype.js";
import { messageOf, TesseraError } from "../core/errors.js";
import type { HostTensor } from "../core/host-tensor.js";
import { quote } from "../core/quote.js";
import { requireArray, requireFit, requireOutput } from "./fit.js";
import { type Api, loadLibrary, type Pointer } from "./native-library.js";
import { operatorTimes } from "./profile.js";
import type { Binding, Runtime, Session, SessionOptions, ValueInfo } from "./session.js";
import { defaultThreads } from "./threads.js";

type Tensors = Readonly<Record<string, HostTensor>>;

/** Element types by ONNX's numbers. */
const dtypeOf = new Map(dtypes.map((dtype) => [onnxTypeCode(dtype), dtype]));

const optimizationLevels = { none: 0, basic: 1, extended: 2, all: 99 } as const;

const silent = 4; // log only what ends the process: every other fault comes back as a status

let runtime: Runtime | undefined;

/**
 * ONNX Runtime through its C API, one for the process, made at the first call. Tensors are used where they lie, runs go to
 * other threads, and arrays may be updated in place.
 *
 * @throws TesseraError `runtime` when the library is missing, or there is none for this platform
 * @example
 * const session = await nativeRuntime().compile(model);
 * const { y } = await session.run({ x: hostTensor([1, 2, 3], [3]) });
 */
export function nativeRuntime(): Runtime {
  runtime ??= createRuntime(loadLibrary());
  return runtime;
}

function createRuntime(api: Api): Runtime {
  const environment = createEnvironment(api);
  environment.catch(() => {}); // reported by compile
  const engine: Engine = {
    api,
    memory: create(api, (slot) => api.CreateCpuMemoryInfo(arenaAllocator, defaultMemory, slot)),
    allocator: create(api, (slot) => api.GetAllocatorWithDefaultOptions(slot)),
  };
  return {
    description: `ONNX Runtime ${api.version} (cpu)`,
    async compile(model, options = {}) {
      checkOptions(options);
      return openSession(engine, await environment, model, options);
    },
  };
}

/** Takes some 20 ms (operator schemas): on another thread, while the caller reads its model. */
async function createEnvironment(api: Api): Promise<Pointer> {
  const pool = create(api, (slot) => api.CreateThreadingOptions(slot));
  try {
    check(api, "runtime", api.SetGlobalIntraOpNumThreads(pool, defaultThreads()));
    // Operators run one after the other: threads between them would only spin at the start.
    check(api, "runtime", api.SetGlobalInterOpNumThreads(pool, 1));
    return await createAsync(api, "runtime", (slot, done) =>
      api.CreateEnvWithGlobalThreadPools.async(silent, "tessera", pool, slot, done),
    );
  } finally {
    api.ReleaseThreadingOptions(pool);
  }
}

const arenaAllocator = 1;
const defaultMemory = 0;

interface Engine {
  readonly api: Api;
  readonly memory: Pointer;
  readonly allocator: Pointer;
}

// --- sessions ---------------------------------------------------------------------------------------------------------

function checkOptions({ threads, optimization = "all", initializers = {} }: SessionOptions): void {
  if (!Object.hasOwn(optimizationLevels, optimization))
    throw new TesseraError(
      "argument",
      `Runtime.compile: optimization must be ${Object.keys(optimizationLevels).join(", ")}, got ${quote(optimization)}`,
    );
  if (threads !== undefined && !(Number.isSafeInteger(threads) && threads > 0))
    throw new TesseraError("argument", `Runtime.compile: threads is ${threads}, expected a whole number above 0`);
  for (const [name, tensor] of Object.entries(initializers))
    requireArray(`Runtime.compile: initializer ${name}`, tensor);
}

async function openSession(
  engine: Engine,
  environment: Pointer,
  model: Uint8Array,
  options: SessionOptions,
): Promise<Session> {
  const { api } = engine;
  const directory = options.profile ? mkdtempSync(path.join(tmpdir(), "tessera-profile-")) : undefined;
  let native: Pointer | undefined;
  try {
    const { settings, release } = sessionSettings(engine, options, directory);
    try {
      native = await createAsync(api, "Runtime.compile", (slot, done) =>
        api.CreateSessionFromArray.async(environment, model, model.byteLength, settings, slot, done),
      );
    } finally {
      release();
    }
    const inputs = valueInfos(engine, native, "Input");
    const outputs = valueInfos(engine, native, "Output");
    const profile = directory === undefined ? undefined : startedProfile(engine, native, directory);
    return sessionOver(engine, native, inputs, outputs, profile, options.initializers ?? {});
  } catch (error) {
    if (native !== undefined) api.ReleaseSession(native);
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

/** Native session options; the caller calls `release` once the session is there. */
function sessionSettings(engine: Engine, options: SessionOptions, directory: string | undefined) {
  const { api } = engine;
  const settings = create(api, (slot) => api.CreateSessionOptions(slot));
  const values: Pointer[] = [];
  const release = () => {
    for (const value of values) api.ReleaseValue(value);
    api.ReleaseSessionOptions(settings);
  };
  try {
    const set = (status: Pointer | null) => check(api, "Runtime.compile", status);
    set(api.SetSessionLogSeverityLevel(settings, silent));
    // As many threads as the shared pool has: the pool itself, whose waiting threads do not fight those of other sessions.
    const threads = options.threads ?? defaultThreads();
    if (threads === defaultThreads()) set(api.DisablePerSessionThreads(settings));
    else set(api.SetIntraOpNumThreads(settings, threads));
    set(api.SetSessionGraphOptimizationLevel(settings, optimizationLevels[options.optimization ?? "all"]));
    for (const [key, value] of Object.entries(options.config ?? {}))
      set(api.AddSessionConfigEntry(settings, key, value));
    if (directory !== undefined) set(api.EnableProfiling(settings, path.join(directory, "run")));
    const initializers = Object.entries(options.initializers ?? {});
    for (const [name, tensor] of initializers) {
      const value = createValue(engine, tensor);
      values.push(value);
      // The first call lets the optimizer see the data, and alone would leave a copy of it in the session: the second has the
      // session use the array itself.
      const names = nativeStrings([name]);
      set(api.AddExternalInitializers(settings, names.pointers, BigUint64Array.of(value), 1));
      set(api.AddInitializer(settings, name, value));
    }
    return { settings, release };
  } catch (error) {
    release();
    throw error;
  }
}

function sessionOver(
  engine: Engine,
  native: Pointer,
  inputs: readonly ValueInfo[],
  outputs: readonly ValueInfo[],
  profile: Profile | undefined,
  initializers: Tensors,
): Session {
  const { api } = engine;
  const life = sessionLifetime(api, native, profile, initializers);
  const bindings = new Set<Lifetime>();
  const session: Session = {
    inputs,
    outputs,
    bind(given, wanted) {
      requireOpen(life, "Session.bind: the session is disposed");
      requireFit("Session.bind", session, given, wanted);
      return bindingOver(engine, native, outputs, given, wanted, life, bindings);
    },
    async run(given, options = {}) {
      requireOpen(life, "Session.run: the session is disposed");
      requireFit("Session.run", session, given, {});
      const names = options.outputs ?? outputs.map(({ name }) => name);
      for (const name of names) requireOutput("Session.run", outputs, name);
      if (names.length === 0) return {};
      const call = prepareCall(engine, native, given, {}, names);
      life.enter();
      try {
        await runAsync(api, call, "Session.run", options.signal);
        return Object.fromEntries(names.map((name, i) => [name, readValue(api, call.outputs.values[i]!)]));
      } finally {
        call.release();
        life.leave();
      }
    },
    profile() {
      requireOpen(life, "Session.profile: the session is disposed");
      if (profile === undefined)
        throw new TesseraError("argument", "Session.profile: the session was compiled without profile: true");
      if (profile.taken) throw new TesseraError("argument", "Session.profile: the profile was taken already");
      return operatorTimes(profile.take());
    },
    dispose() {
      forgotten.unregister(session);
      for (const binding of bindings) binding.close();
      life.close();
    },
    [Symbol.dispose]: () => session.dispose(),
  };
  forgotten.register(session, life, session);
  return session;
}

function bindingOver(
  engine: Engine,
  native: Pointer,
  sessionOutputs: readonly ValueInfo[],
  given: Tensors,
  wanted: Tensors,
  owner: Lifetime,
  siblings: Set<Lifetime>,
): Binding {
  const { api } = engine;
  const names = Object.keys(wanted);
  // The engine wants to be asked for something: the first output then goes to memory of its own and is dropped.
  const dropped = names.length === 0;
  const call = prepareCall(engine, native, given, wanted, dropped ? [sessionOutputs[0]!.name] : names);
  const life = bindingLifetime(call, owner, siblings);
  let running = false;
  const begin = (where: string) => {
    requireOpen(life, `${where}: the binding is disposed, or its session`);
    if (running)
      throw new TesseraError("runtime", `${where}: the binding is running already. Wait for it, or bind twice`);
    if (call.arrays.some((array) => array.length === 0))
      throw new TesseraError("runtime", `${where}: an array of the binding was transferred away. Bind again`);
    running = true;
    life.enter();
  };
  const end = () => {
    running = false;
    if (dropped) call.releaseOutputs();
    life.leave();
  };
  const binding: Binding = {
    async run(options = {}) {
      begin("Binding.run");
      try {
        await runAsync(api, call, "Binding.run", options.signal);
      } finally {
        end();
      }
    },
    runSync() {
      begin("Binding.runSync");
      try {
        check(api, "Binding.runSync", api.Run(...runArguments(call, null)));
      } finally {
        end();
      }
    },
    dispose() {
      forgotten.unregister(binding);
      life.close();
    },
    [Symbol.dispose]: () => binding.dispose(),
  };
  forgotten.register(binding, life, binding);
  return binding;
}

/** The profile that a native session is writing to a directory of its own. */
interface Profile {
  readonly taken: boolean;
  /** Ends it and returns its text; removes the directory. */
  take(): string;
}

function startedProfile(engine: Engine, native: Pointer, directory: string): Profile {
  let taken = false;
  return {
    get taken() {
      return taken;
    },
    take() {
      taken = true;
      try {
        const file = create(engine.api, (slot) => engine.api.SessionEndProfiling(native, engine.allocator, slot));
        return readFileSync(takeString(engine, file), "utf8");
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    },
  };
}

// --- runs -------------------------------------------------------------------------------------------------------------

/** What one native Run takes, at addresses that stay. */
interface Call {
  readonly native: Pointer;
  readonly inputs: NativeValues;
  readonly outputs: NativeValues;
  /** The arrays that have elements. */
  readonly arrays: readonly TypedArray[];
  /** Frees the values of the outputs and lets the engine allocate them anew. */
  releaseOutputs(): void;
  release(): void;
}

interface NativeValues {
  readonly count: number;
  /** Address of the array of names. */
  readonly names: Pointer;
  /** Address of `values`. */
  readonly address: Pointer;
  /** Values by position; 0 is one the engine shall allocate. */
  readonly values: BigUint64Array;
}

/** Wraps the tensors; outputs without a tensor are left to the engine. */
function prepareCall(
  engine: Engine,
  native: Pointer,
  given: Tensors,
  wanted: Tensors,
  outputNames: readonly string[],
): Call {
  const { api } = engine;
  const kept: unknown[] = [];
  const arrays: TypedArray[] = [];
  const prepare = (names: readonly string[], tensors: Tensors): NativeValues => {
    const strings = nativeStrings(names);
    const values = new BigUint64Array(names.length);
    kept.push(strings, values);
    names.forEach((name, i) => {
      const tensor = tensors[name];
      if (tensor === undefined) return;
      if (tensor.data.length > 0) arrays.push(tensor.data);
      values[i] = createValue(engine, tensor);
    });
    return { count: names.length, names: koffi.address(strings.pointers), address: koffi.address(values), values };
  };
  const free = (values: BigUint64Array) => {
    for (const value of values) if (value !== 0n) api.ReleaseValue(value);
    values.fill(0n);
  };
  const inputs = prepare(Object.keys(given), given);
  const outputs = prepare(outputNames, wanted);
  return {
    native,
    inputs,
    outputs,
    arrays,
    releaseOutputs: () => free(outputs.values),
    release() {
      free(inputs.values);
      free(outputs.values);
      kept.length = arrays.length = 0;
    },
  };
}

function runArguments({ native, inputs, outputs }: Call, options: Pointer | null) {
  return [
    native,
    options,
    inputs.names,
    inputs.address,
    inputs.count,
    outputs.names,
    outputs.count,
    outputs.address,
  ] as const;
}

async function runAsync(api: Api, call: Call, where: string, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted) throw new TesseraError("aborted", `${where}: aborted before it began`, { cause: signal.reason });
  const options = signal && create(api, (slot) => api.CreateRunOptions(slot));
  const stop = () => check(api, where, api.RunOptionsSetTerminate(options!));
  signal?.addEventListener("abort", stop);
  try {
    const status = await callAsync(where, (done) => api.Run.async(...runArguments(call, options ?? null), done));
    if (status !== null && signal?.aborted) {
      api.ReleaseStatus(status);
      throw new TesseraError("aborted", `${where}: aborted`, { cause: signal.reason });
    }
    check(api, where, status);
  } finally {
    signal?.removeEventListener("abort", stop);
    if (options !== undefined) api.ReleaseRunOptions(options);
  }
}

// --- values -----------------------------------------------------------------------------------------------------------

const nothing = new Uint8Array(8); // an address for tensors without elements

/** A native tensor over the array's own memory; the array must stay referenced while it lives. */
function createValue({ api, memory }: Engine, { dtype, shape, data }: HostTensor): Pointer {
  const sizes = BigInt64Array.from(shape, BigInt);
  const array = data.byteLength === 0 ? nothing : data;
  return create(api, (slot) =>
    api.CreateTensorWithDataAsOrtValue(memory, array, data.byteLength, sizes, sizes.length, onnxTypeCode(dtype), slot),
  );
}

/** Copies a native tensor out. */
function readValue(api: Api, value: Pointer): HostTensor {
  const info = create(api, (slot) => api.GetTensorTypeAndShape(value, slot));
  try {
    const { dtype, shape } = readInfo(api, info);
    const data = allocate(
      dtype,
      shape.reduce((product, size) => product * size, 1),
    );
    if (data.length > 0) {
      const source = create(api, (slot) => api.GetTensorMutableData(value, slot));
      new Uint8Array(data.buffer).set(new Uint8Array(koffi.view(source, data.byteLength)));
    }
    return { dtype, shape, data };
  } finally {
    api.ReleaseTensorTypeAndShapeInfo(info);
  }
}

function valueInfos(engine: Engine, session: Pointer, side: "Input" | "Output"): ValueInfo[] {
  const { api, allocator } = engine;
  const count = Number(create(api, (slot) => api[`SessionGet${side}Count`](session, slot)));
  return Array.from({ length: count }, (_, i) => {
    const name = takeString(
      engine,
      create(api, (slot) => api[`SessionGet${side}Name`](session, i, allocator, slot)),
    );
    const type = create(api, (slot) => api[`SessionGet${side}TypeInfo`](session, i, slot));
    try {
      const info = create(api, (slot) => api.CastTypeInfoToTensorInfo(type, slot));
      return { name, ...readSymbolicInfo(api, info, `${side.toLowerCase()} ${name}`) };
    } finally {
      api.ReleaseTypeInfo(type);
    }
  });
}

function readSymbolicInfo(api: Api, info: Pointer, label: string): Omit<ValueInfo, "name"> {
  if (info === 0n) throw new TesseraError("unsupported", `Runtime.compile: ${label} is not a tensor`);
  if (!api.TensorTypeAndShape_HasShape(info))
    throw new TesseraError("unsupported", `Runtime.compile: ${label} declares no shape. Declare it, with named sizes`);
  const { dtype, shape } = readInfo(api, info, label);
  const symbols = new BigUint64Array(shape.length);
  check(api, "Runtime.compile", api.GetSymbolicDimensions(info, symbols, symbols.length));
  return { dtype, shape: shape.map((size, i) => (size >= 0 ? size : koffi.decode.string(symbols[i]!) || "?")) };
}

function readInfo(api: Api, info: Pointer, label = "output"): { dtype: DType; shape: number[] } {
  const code = new Int32Array(1);
  check(api, "runtime", api.GetTensorElementType(info, code));
  const dtype = dtypeOf.get(code[0]!);
  if (dtype === undefined)
    throw new TesseraError("unsupported", `runtime: ${label} has ONNX element type ${code[0]}, which is not supported`);
  const sizes = new BigInt64Array(Number(create(api, (slot) => api.GetDimensionsCount(info, slot))));
  check(api, "runtime", api.GetDimensions(info, sizes, sizes.length));
  return { dtype, shape: Array.from(sizes, Number) };
}

// --- native memory ----------------------------------------------------------------------------------------------------

/** Strings as the C API takes them: `pointers` is an array of addresses of C strings in `bytes`. */
function nativeStrings(strings: readonly string[]) {
  const encoded = strings.map((s) => Buffer.from(`${s}\0`));
  const bytes = Buffer.concat(encoded);
  const base = koffi.address(bytes);
  const pointers = new BigUint64Array(strings.length);
  let offset = 0;
  encoded.forEach((part, i) => {
    pointers[i] = base + BigInt(offset);
    offset += part.length;
  });
  return { bytes, pointers };
}

/** A C string that the engine allocated; frees it. */
function takeString({ api, allocator }: Engine, pointer: Pointer): string {
  const text = koffi.decode.string(pointer);
  check(api, "runtime", api.AllocatorFree(allocator, pointer));
  return text;
}

/** The word that a function of the API writes to its last argument. */
function create(api: Api, call: (slot: BigUint64Array) => Pointer | null): Pointer {
  const slot = new BigUint64Array(1);
  check(api, "runtime", call(slot));
  return slot[0]!;
}

async function createAsync(
  api: Api,
  where: string,
  start: (slot: BigUint64Array, done: Done) => void,
): Promise<Pointer> {
  const slot = new BigUint64Array(1);
  check(api, where, await callAsync(where, (done) => start(slot, done)));
  return slot[0]!;
}

type Done = (error: unknown, status: Pointer | null) => void;

/** The status of a call on another thread. */
async function callAsync(where: string, start: (done: Done) => void): Promise<Pointer | null> {
  try {
    return await new Promise((resolve, reject) => start((error, status) => (error ? reject(error) : resolve(status))));
  } catch (cause) {
    throw new TesseraError("runtime", `${where}: the call could not be made, ${messageOf(cause)}`, { cause });
  }
}

function check(api: Api, where: string, status: Pointer | null): void {
  if (status === null) return;
  const message = api.GetErrorMessage(status).replace(/\s+/g, " ").trim();
  api.ReleaseStatus(status);
  throw new TesseraError("runtime", `${where}: ${message}`);
}

// --- lifetimes --------------------------------------------------------------------------------------------------------

/** Something native that is freed once it is closed and nothing uses it any more. */
interface Lifetime {
  readonly closed: boolean;
  enter(): void;
  leave(): void;
  close(): void;
}

function lifetime(free: () => void): Lifetime {
  let closed = false;
  let users = 0;
  return {
    get closed() {
      return closed;
    },
    enter() {
      users++;
    },
    leave() {
      if (--users === 0 && closed) free();
    },
    close() {
      if (closed) return;
      closed = true;
      if (users === 0) free();
    },
  };
}

// These two stand alone because `forgotten` keeps what they capture: it must not be the session or binding itself.

function sessionLifetime(api: Api, native: Pointer, profile: Profile | undefined, initializers: Tensors): Lifetime {
  const kept = new Set<unknown>([initializers]); // the native session reads these arrays
  return lifetime(() => {
    try {
      if (profile && !profile.taken) profile.take();
    } finally {
      api.ReleaseSession(native);
      kept.clear();
    }
  });
}

function bindingLifetime(call: Call, owner: Lifetime, siblings: Set<Lifetime>): Lifetime {
  const life = lifetime(() => {
    call.release();
    siblings.delete(life);
    owner.leave();
  });
  owner.enter();
  siblings.add(life);
  return life;
}

function requireOpen(life: Lifetime, message: string): void {
  if (life.closed) throw new TesseraError("runtime", message);
}

/** Frees sessions and bindings that were dropped without being disposed. A binding in use keeps its session's memory. */
const forgotten = new FinalizationRegistry<Lifetime>((life) => life.close());

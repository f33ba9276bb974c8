import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import koffi from "koffi";
import { messageOf, TesseraError } from "../core/errors.js";

/** An address in native memory. */
export type Pointer = bigint;

const fileName = process.platform === "win32" ? "str16" : "str"; // the API takes wide file names on Windows

/** Function → its place in ONNX Runtime's table, which only ever grows at its end; its result; its arguments. */
const functions = {
  GetErrorMessage: [2, "str", "void*"],
  CreateSessionFromArray: [8, "void*", "void*", "void*", "size_t", "void*", "void*"],
  Run: [9, "void*", "void*", "void*", "void*", "void*", "size_t", "void*", "size_t", "void*"],
  CreateSessionOptions: [10, "void*", "void*"],
  EnableProfiling: [14, "void*", "void*", fileName],
  SetSessionLogSeverityLevel: [22, "void*", "void*", "int"],
  SetSessionGraphOptimizationLevel: [23, "void*", "void*", "int"],
  SetIntraOpNumThreads: [24, "void*", "void*", "int"],
  SessionGetInputCount: [30, "void*", "void*", "void*"],
  SessionGetOutputCount: [31, "void*", "void*", "void*"],
  SessionGetInputTypeInfo: [33, "void*", "void*", "size_t", "void*"],
  SessionGetOutputTypeInfo: [34, "void*", "void*", "size_t", "void*"],
  SessionGetInputName: [36, "void*", "void*", "size_t", "void*", "void*"],
  SessionGetOutputName: [37, "void*", "void*", "size_t", "void*", "void*"],
  CreateRunOptions: [39, "void*", "void*"],
  RunOptionsSetTerminate: [46, "void*", "void*"],
  CreateTensorWithDataAsOrtValue: [49, "void*", "void*", "void*", "size_t", "void*", "size_t", "int", "void*"],
  GetTensorMutableData: [51, "void*", "void*", "void*"],
  CastTypeInfoToTensorInfo: [55, "void*", "void*", "void*"],
  GetTensorElementType: [60, "void*", "void*", "void*"],
  GetDimensionsCount: [61, "void*", "void*", "void*"],
  GetDimensions: [62, "void*", "void*", "void*", "size_t"],
  GetSymbolicDimensions: [63, "void*", "void*", "void*", "size_t"],
  GetTensorTypeAndShape: [65, "void*", "void*", "void*"],
  CreateCpuMemoryInfo: [69, "void*", "int", "int", "void*"],
  AllocatorFree: [76, "void*", "void*", "void*"],
  GetAllocatorWithDefaultOptions: [78, "void*", "void*"],
  ReleaseStatus: [93, "void", "void*"],
  ReleaseSession: [95, "void", "void*"],
  ReleaseValue: [96, "void", "void*"],
  ReleaseRunOptions: [97, "void", "void*"],
  ReleaseTypeInfo: [98, "void", "void*"],
  ReleaseTensorTypeAndShapeInfo: [99, "void", "void*"],
  ReleaseSessionOptions: [100, "void", "void*"],
  SessionEndProfiling: [110, "void*", "void*", "void*", "void*"],
  CreateEnvWithGlobalThreadPools: [119, "void*", "int", "str", "void*", "void*"],
  DisablePerSessionThreads: [120, "void*", "void*"],
  CreateThreadingOptions: [121, "void*", "void*"],
  ReleaseThreadingOptions: [122, "void", "void*"],
  AddSessionConfigEntry: [130, "void*", "void*", "str", "str"],
  SetGlobalIntraOpNumThreads: [147, "void*", "void*", "int"],
  SetGlobalInterOpNumThreads: [148, "void*", "void*", "int"],
  AddInitializer: [150, "void*", "void*", "str", "void*"],
  AddExternalInitializers: [210, "void*", "void*", "void*", "void*", "size_t"],
  TensorTypeAndShape_HasShape: [390, "bool", "void*"],
} as const;

/** Version of the table that has all of the above; later libraries keep serving it. */
const tableVersion = 24;

/** Numbers, addresses, typed arrays (their memory), strings (as C strings) or null. */
type Argument = number | Pointer | ArrayBufferView | string | null;
type Results = { "void*": Pointer | null; str: string; bool: boolean; void: undefined };
type NativeFunction<R extends keyof Results> = ((...args: Argument[]) => Results[R]) & {
  /** The same on a thread of the pool; `done` is called on the event loop. */
  async(...args: [...Argument[], done: (error: unknown, result: Results[R]) => void]): void;
};

/** ONNX Runtime's C API. A function that returns a `Pointer | null` returns a status: null when all went well. */
export type Api = { readonly [Name in keyof typeof functions]: NativeFunction<(typeof functions)[Name][1]> } & {
  readonly version: string;
  /** Holds the library in memory: without a reference it is unloaded, and the next call crashes. */
  readonly library: unknown;
};

const files: Readonly<Record<string, string>> = {
  "linux-x64": "libonnxruntime.so.1",
  "linux-arm64": "libonnxruntime.so.1",
  "darwin-arm64": "libonnxruntime.1.dylib",
  "win32-x64": "onnxruntime.dll",
  "win32-arm64": "onnxruntime.dll",
};

/**
 * Where onnxruntime-node keeps ONNX Runtime's library for a platform.
 *
 * @param root directory of the onnxruntime-node package; default: the installed one
 * @throws TesseraError `runtime` when the platform is not served or the file is missing
 */
export function libraryPath(
  platform: string = process.platform,
  arch: string = process.arch,
  root: string = packageRoot(),
): string {
  const file = files[`${platform}-${arch}`];
  if (file === undefined)
    throw new TesseraError(
      "runtime",
      `runtime: onnxruntime-node has no library for ${platform}-${arch} (only for ${Object.keys(files).join(", ")})`,
    );
  const found = path.join(root, "bin", "napi-v6", platform, arch, file);
  if (!existsSync(found))
    throw new TesseraError("runtime", `${found}: the file is missing. Install it again: npm install onnxruntime-node`);
  return found;
}

function packageRoot(): string {
  try {
    return path.dirname(createRequire(import.meta.url).resolve("onnxruntime-node/package.json"));
  } catch (cause) {
    const message = "runtime: onnxruntime-node is not installed. Install it: npm install onnxruntime-node";
    throw new TesseraError("runtime", message, { cause });
  }
}

/**
 * Loads ONNX Runtime's library and finds its functions.
 *
 * @throws TesseraError `runtime` when the library cannot be loaded or is too old
 */
export function loadLibrary(file = libraryPath()): Api {
  requireShortCommandLine();
  enlargeStacks();
  const { library, base } = open(file);
  pin(file);
  const [getTable, getVersion] = base;
  const version: string = koffi.call(getVersion, koffi.proto("str", []));
  const table = koffi.call(getTable, koffi.proto("void*", ["uint32_t"]), tableVersion);
  if (table === null)
    throw new TesseraError(
      "runtime",
      `${file}: ONNX Runtime ${version} is too old, its C API ends before version ${tableVersion}. Update onnxruntime-node`,
    );
  const last = functions.TensorTypeAndShape_HasShape[0];
  const pointers = koffi.decode(table, koffi.array("void*", last + 1));
  const bound = Object.entries(functions).map(([name, [place, result, ...args]]) => [
    name,
    koffi.decode(pointers[place], koffi.proto(result, args)),
  ]);
  return { ...Object.fromEntries(bound), version, library };
}

/** ONNX Runtime recurses deeply while it compiles: koffi's own stacks are too small for it. */
function enlargeStacks(): void {
  const enough = 16 << 20; // the most koffi gives
  const { sync_stack_size: sync = 0, async_stack_size: async = 0 } = koffi.config();
  if (sync >= enough && async >= enough) return;
  try {
    koffi.config({ sync_stack_size: enough, async_stack_size: enough });
  } catch (cause) {
    const message =
      "runtime: koffi is in use with smaller stacks. Load the runtime before other libraries that use koffi";
    throw new TesseraError("runtime", message, { cause });
  }
}

const longestCommandLine = 32_768;

/** ONNX Runtime reads the process's command line as it starts, by recursion: from some 50,000 bytes on it overruns its stack. */
function requireShortCommandLine(): void {
  const bytes = process.argv.reduce((sum, part) => sum + Buffer.byteLength(part) + 1, 0);
  if (bytes > longestCommandLine)
    throw new TesseraError(
      "runtime",
      `the command line is too long for ONNX Runtime, ${bytes} bytes (at most ${longestCommandLine}). Give a long text by standard input, many files in a file of settings`,
    );
}

/** Keeps the library until the process is gone: its threads may be starting while Node.js unloads what koffi opened. */
function pin(file: string): void {
  const noDelete = { linux: 0x1000, darwin: 0x80 }[process.platform as string];
  if (noDelete === undefined) return; // Windows ends threads before libraries
  const lazily = 1;
  koffi.load(null).func("dlopen", "void*", ["str", "int"])(file, lazily | noDelete);
}

function open(file: string) {
  try {
    const library = koffi.load(file, { lazy: true });
    const getBase = library.func("OrtGetApiBase", "void*", []);
    return { library, base: koffi.decode(getBase(), koffi.array("void*", 2)) as Pointer[] };
  } catch (cause) {
    throw new TesseraError("runtime", `${file}: cannot be loaded, ${messageOf(cause).replace(/\s+/g, " ")}`, { cause });
  }
}

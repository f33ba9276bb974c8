import { topologicalOrder } from "../core/graph.js";
import type { HostTensor } from "../core/host-tensor.js";
import { parametersOf, parameterTree } from "../core/module.js";
import { input, type Tensor } from "../core/tensor.js";
import type { LanguageModel } from "../pretrained/load-model.js";
import { compileGraph } from "../runtime/compile.js";
import type { Runtime, Session, SessionOptions } from "../runtime/session.js";
import { type Decoder, type DecoderOptions, openDecoder } from "./decoder.js";
import { type DecodingTrace, decodingContext } from "./decoding-context.js";

/** What generation needs of a loaded model. */
export type GenerationModel = Pick<LanguageModel, "module" | "weights" | "facts" | "generation" | "rawConfig">;

/** How a model is compiled for generation. */
export interface CompileModelOptions extends Pick<SessionOptions, "threads" | "optimization" | "profile" | "config"> {
  /** Default: the native runtime. */
  readonly runtime?: Runtime;
  /**
   * Let the engine keep weight matrices a second time, laid out for its kernels: up to twice as fast, at twice the memory.
   * Default: for models up to 2 GiB; the rows of larger ones are long enough to be read fast as they lie.
   */
  readonly packWeights?: boolean;
}

/** A model ready to generate: one session that serves prompts and single tokens, for any number of decoders. */
export interface CompiledModel extends Disposable {
  readonly model: GenerationModel;
  readonly session: Session;
  /** A decoder with memory of its own. Several may be used at the same time. */
  decoder(options?: DecoderOptions): Decoder;
  /** Frees the session; its decoders can no longer be used. */
  dispose(): void;
}

const PACKED_UP_TO = 2 ** 31;

/**
 * Compiles a model for cached decoding. The weights are used where they lie and must not change while it lives.
 *
 * @throws TesseraError `unsupported` for a model that does not decode token by token (bidirectional attention), or as the runtime throws
 * @example
 * using compiled = await compileModel(loadModel("checkpoints/melville"));
 * const { ids } = await generate(compiled, [1, 2, 3], { maxNewTokens: 20 });
 */
export async function compileModel(model: GenerationModel, options: CompileModelOptions = {}): Promise<CompiledModel> {
  const {
    runtime = (await import("../runtime/native.js")).nativeRuntime(),
    packWeights,
    config,
    ...sessionOptions
  } = options;
  const parameters = new Map([...parametersOf(model.module)].map(([path, { shape }]) => [path, input(path, shape)]));
  const ids = input("ids", ["b", "t"], "int64");
  const trace = decodingContext("b", "t");
  const logits: Tensor = model.module(
    parameterTree(model.module, (path) => parameters.get(path)),
    ids,
    trace.context,
  );
  const outputs = [logits, ...trace.states.map((s) => s.after)];
  const used = new Set(topologicalOrder(outputs).flatMap((node) => node.inputs));
  const inputs = [
    ids,
    trace.positions,
    trace.last,
    trace.slots,
    ...trace.states.map((s) => s.before),
    ...parameters.values(),
  ].filter((x) => used.has(x));
  const weights: Record<string, HostTensor> = {};
  for (const [path, tensor] of model.weights) if (used.has(parameters.get(path)!)) weights[path] = tensor;
  const outputNames = ["logits", ...trace.states.map((s) => `${s.name}.after`)];
  const bytes = Object.values(weights).reduce((sum, { data }) => sum + data.byteLength, 0);
  const packing = (packWeights ?? bytes <= PACKED_UP_TO) ? {} : { "session.disable_prepacking": "1" };
  const session = await compileGraph(
    runtime,
    { inputs, outputs },
    { ...sessionOptions, config: { ...packing, ...config }, outputNames, weights },
  );
  return {
    model,
    session,
    decoder: (decoderOptions = {}) => openDecoder({ session, states: statesOf(trace), ...model.facts }, decoderOptions),
    dispose: () => session.dispose(),
    [Symbol.dispose]: () => session.dispose(),
  };
}

function statesOf({ states }: DecodingTrace) {
  return states.map(({ name, kind, before: { dtype, shape } }) => ({ name, kind, dtype, shape }));
}

import { mulDims } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import { topologicalOrder } from "../core/graph.js";
import { input, type Tensor } from "../core/tensor.js";
import type { EncoderDecoderHalves } from "../models/model.js";
import { sequenceContext } from "../nn/context.js";
import { reshape } from "../ops/shape.js";
import type { LanguageModel } from "../pretrained/load-model.js";
import type { Runtime, Session, SessionOptions } from "../runtime/session.js";
import { type Decoder, type DecoderOptions, type DecoderProgram, openDecoder } from "./decoder.js";
import { type DecodingTrace, decodingContext } from "./decoding-context.js";
import { type ModelGraphs, modelGraphs } from "./model-graphs.js";
import { SOURCE } from "./source-memory.js";

/** What generation needs of a loaded model; without a task it is a causal one. */
export type GenerationModel = Pick<LanguageModel, "module" | "weights" | "facts" | "generation" | "rawConfig"> &
  Partial<Pick<LanguageModel, "task">>;

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
  /** The decoder's graph; an encoder has one of its own. */
  readonly session: Session;
  /** A decoder with memory of its own. Several may be used at the same time. */
  decoder(options?: DecoderOptions): Decoder;
  /** Frees the engine's part; its decoders can no longer be used. */
  dispose(): void;
}

/**
 * Compiles a model for cached decoding. The weights are used where they lie and must not change while it lives.
 *
 * @throws TesseraError `unsupported` for a task without text, or a model that does not decode token by token (bidirectional attention),
 *   or as the runtime throws
 * @example
 * using compiled = await compileModel(await loadModel("checkpoints/ishmael"));
 * const { ids } = await generate(compiled, [1, 2, 3], { maxNewTokens: 20 });
 */
export async function compileModel(model: GenerationModel, options: CompileModelOptions = {}): Promise<CompiledModel> {
  const { runtime = (await import("../runtime/native.js")).nativeRuntime(), ...sessionOptions } = options;
  const { task = "causal-lm" } = model;
  if (task !== "causal-lm" && task !== "seq2seq-lm")
    throw new TesseraError(
      "unsupported",
      `compileModel: a model for ${task} generates no text (causal-lm or seq2seq-lm expected)`,
    );
  const { parameters, compile } = modelGraphs(model, runtime, sessionOptions);
  const traced = task === "causal-lm" ? traceDecoder(model, parameters) : traceEncoderDecoder(model, parameters);
  const { ids, logits, trace, source } = traced;
  const { positions, last, slots, states, kept } = trace;
  const given = [ids, positions, last, slots, ...states.map((s) => s.before), ...kept.map((k) => k.input)];
  const reading = source && (await compile([source.ids], keptOf(trace)));
  const session = await compile(source ? [...given, source.mask] : given, {
    logits,
    ...Object.fromEntries(states.map((s) => [`${s.name}.after`, s.after])),
  }).catch((error: unknown) => {
    reading?.dispose();
    throw error;
  });
  const program: DecoderProgram = {
    ...model.facts,
    session,
    states: states.map(({ name, kind, initial, before: { dtype, shape } }) => ({
      name,
      kind,
      dtype,
      shape,
      initial: initial && `${name}.initial`,
    })),
    reader: reading && {
      session: reading,
      kept: Object.entries(keptOf(trace)).map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
      sourceLength: model.facts.sourceLength,
      vocabSize: model.facts.sourceVocabSize ?? model.facts.vocabSize,
    },
  };
  const dispose = () => {
    reading?.dispose();
    session.dispose();
  };
  return {
    model,
    session,
    decoder: (decoderOptions = {}) => openDecoder(program, decoderOptions),
    dispose,
    [Symbol.dispose]: dispose,
  };
}

/** A graph of cached decoding, and what it is given. */
interface Traced {
  readonly ids: Tensor;
  readonly logits: Tensor;
  readonly trace: DecodingTrace;
  /** Of an encoder-decoder: the encoder's input, and the mask of the sources in the decoder's. */
  readonly source?: { readonly ids: Tensor; readonly mask: Tensor };
}

type Parameters = ModelGraphs["parameters"];

function traceDecoder({ module }: GenerationModel, parameters: Parameters): Traced {
  const ids = input("ids", ["b", "t"], "int64");
  const trace = decodingContext("b", "t");
  return { ids, trace, logits: module(parameters, ids, trace.context) };
}

function traceEncoderDecoder({ module }: GenerationModel, parameters: Parameters): Traced {
  const [sources, each] = ["sources", "each"]; // rows of the target: each of a number of sources has as many
  const source = {
    ids: input("source_ids", [sources, SOURCE], "int64"),
    mask: input("source_mask", [sources, SOURCE], "int64"),
  };
  const ids = input("ids", [sources, each, "t"], "int64");
  const batch = mulDims(sources, each);
  const { encode, decode }: EncoderDecoderHalves = module(parameters);
  const memory = encode(source.ids, sequenceContext({ batch: sources, length: SOURCE }));
  const trace = decodingContext(batch, "t", { sources, mask: source.mask });
  const logits = decode(reshape(ids, [batch, "t"]), memory, trace.context);
  const step = topologicalOrder([logits, ...trace.states.map((s) => s.after)]);
  const leak = step.find((node) => node.inputs.includes(source.ids));
  if (leak)
    throw new TesseraError(
      "unsupported",
      `${leak.path}: every step would read the source anew. What is computed of the encoder's result goes through the context: attendTo, once, or a state's initial value`,
    );
  return { ids, logits, trace, source };
}

/** What the encoder's half computes, by the names of the inputs and states that take it. */
function keptOf({ states, kept }: DecodingTrace): Readonly<Record<string, Tensor>> {
  return Object.fromEntries([
    ...kept.map(({ input, value }) => [input.name, value] as const),
    ...states.flatMap(({ name, initial }) => (initial ? [[`${name}.initial`, initial] as const] : [])),
  ]);
}

import { addDims, countOf, type Dim, formatShape, type Shape, sameShape } from "../core/dim.js";
import { bytesOf, type DType, type TypedArray, toTypedArray } from "../core/dtype.js";
import { TesseraError } from "../core/errors.js";
import { topologicalOrder } from "../core/graph.js";
import type { HostTensor } from "../core/host-tensor.js";
import type { Graph, OnnxAttribute, OnnxEmitter, OnnxSubgraph } from "../core/primitive.js";
import type { Tensor } from "../core/tensor.js";
import * as proto from "./proto.js";

/** How a graph is written as ONNX. */
export interface EmitOptions {
  /** Use ONNX Runtime's own operators where they are faster (`com.microsoft`). Default true; false for export to other engines. */
  readonly contrib?: boolean;
  /** Names of the outputs, in order. Default `out0`, `out1`, …. */
  readonly outputNames?: readonly string[];
  /** Inputs of the graph, by name, whose data becomes part of the model. */
  readonly initializers?: Readonly<Record<string, HostTensor>>;
  /**
   * Inputs of the graph, by name, that become initializers with their data outside the model: in a file beside it,
   * or, with {@link IN_MEMORY} as location, in arrays that are given to the session under the same name.
   */
  readonly external?: Readonly<Record<string, ExternalData>>;
}

/** Where external data lies, in bytes. */
export interface ExternalData {
  readonly location: string;
  readonly offset: number;
}

/** The location of external data that a session receives as arrays. */
export const IN_MEMORY = "_tessera_memory_";

const OPSET = 21;
const IR_VERSION = 10;

/**
 * A graph as a serialized ONNX model (ModelProto, opset 21).
 *
 * @throws TesseraError `argument` when an output has the name of another or of an input, or an initializer is no input of the
 *   graph; `shape` when an initializer has another type than the input, or one outside the model has named sizes
 */
export function emitOnnx(graph: Graph, options: EmitOptions = {}): Uint8Array {
  const {
    contrib = true,
    initializers = {},
    external = {},
    outputNames = graph.outputs.map((_, i) => `out${i}`),
  } = options;
  if (outputNames.length !== graph.outputs.length)
    throw new TesseraError(
      "argument",
      `emitOnnx: ${outputNames.length} output names for ${graph.outputs.length} outputs`,
    );
  const taken = new Set(graph.inputs.map((x) => x.name));
  for (const name of outputNames) {
    if (taken.has(name)) throw new TesseraError("argument", `emitOnnx: two inputs or outputs are named ${name}`);
    taken.add(name);
  }
  for (const name of [...Object.keys(initializers), ...Object.keys(external)])
    if (!graph.inputs.some((x) => x.name === name))
      throw new TesseraError("argument", `emitOnnx: initializer ${name} is no input of the graph`);

  const stored: proto.Message[] = [];
  const open: Tensor[] = [];
  for (const x of graph.inputs) {
    const inside = initializers[x.name];
    const outside = external[x.name];
    if (inside && (inside.dtype !== x.dtype || !sameShape(inside.shape, x.shape)))
      throw new TesseraError(
        "shape",
        `emitOnnx: initializer ${x.name} is ${inside.dtype}${formatShape(inside.shape)}, the input ${x.dtype}${formatShape(x.shape)}`,
      );
    if (inside) stored.push(proto.tensor(x.name, inside.dtype, inside.shape, inside.data));
    else if (outside)
      stored.push(
        proto.externalTensor(x.name, x.dtype, x.shape as number[], {
          ...outside,
          length: countOf(x.shape) * bytesOf(x.dtype),
        }),
      );
    else open.push(x);
  }
  const writer = new Writer(contrib, open, taken);
  const names = new Map<Tensor, string>(graph.inputs.map((x) => [x, x.name]));
  writer.graph(graph, names);
  // An output needs a name of its own, even where it is an input or another output as well.
  for (const [i, y] of graph.outputs.entries()) writer.rename(names.get(y)!, outputNames[i]!);

  const body = proto.graph("main", {
    nodes: writer.nodesSoFar,
    initializers: [...stored, ...writer.constants],
    inputs: open.map((x) => proto.valueInfo(x.name, x.dtype, x.shape)),
    outputs: graph.outputs.map((y, i) => proto.valueInfo(outputNames[i]!, y.dtype, y.shape)),
  });
  return proto.model(body, OPSET, contrib, IR_VERSION);
}

class Writer implements OnnxEmitter {
  nodesSoFar: proto.Message[] = [];
  /** Names of what the nodes so far compute. */
  private made = new Set<string>();
  readonly constants: proto.Message[] = [];
  private readonly known = new Map<string, string>();
  private readonly dims = new Map<string, string>();
  private readonly solving = new Set<string>();
  private count = 0;
  private path = "";

  constructor(
    readonly contrib: boolean,
    private readonly inputs: readonly Tensor[],
    private readonly taken: ReadonlySet<string>,
  ) {}

  /** Writes the nodes of a graph; `names` holds its inputs' names and receives every other value's. */
  graph(graph: Graph, names: Map<Tensor, string>): void {
    const order = topologicalOrder(graph.outputs);
    const used = new Set<Tensor>([...graph.outputs, ...order.flatMap((n) => n.inputs)]);
    for (const { op, inputs, outputs, attrs, path } of order) {
      this.path = path;
      const named = inputs.map((x) => {
        const name = names.get(x);
        if (name === undefined)
          throw new TesseraError("argument", `${path}: uses ${x.name}, which is no input of the graph`);
        return name;
      });
      const result: string | readonly string[] = op.emit(this, named, attrs, {
        inputs,
        outputs,
        used: outputs.map((y) => used.has(y)),
      });
      const all = typeof result === "string" ? [result] : result;
      for (const [i, y] of outputs.entries()) names.set(y, all[i]!);
    }
  }

  rename(from: string, to: string): void {
    this.nodesSoFar.push(proto.node("Identity", [from], [to], {}, `output ${to}`));
  }

  private fresh(): string {
    let name: string;
    do name = `v${this.count++}`;
    while (this.taken.has(name));
    return name;
  }

  nodes(
    operator: string,
    inputs: readonly string[],
    outputs: number,
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
  ): string[] {
    const names = Array.from({ length: outputs }, () => this.fresh());
    for (const name of names) this.made.add(name);
    const values = Object.entries(attributes).map(
      ([k, v]) => [k, typeof v === "object" && "graph" in v ? { graph: body(v.graph) } : v] as const,
    );
    this.nodesSoFar.push(proto.node(operator, inputs, names, Object.fromEntries(values), `${this.path}#${names[0]}`));
    return names;
  }

  node(operator: string, inputs: readonly string[], attributes: Readonly<Record<string, OnnxAttribute>> = {}): string {
    return this.nodes(operator, inputs, 1, attributes)[0]!;
  }

  constant(dtype: DType, shape: readonly number[], data: TypedArray): string {
    const content = data.byteLength <= 1024 ? `${dtype}${shape.join()}:${data.join()}` : undefined;
    const twin = content && this.known.get(content);
    if (twin) return twin;
    const name = this.fresh();
    this.constants.push(proto.tensor(name, dtype, shape, data));
    if (content) this.known.set(content, name);
    return name;
  }

  ints(values: readonly number[]): string {
    return this.constant("int64", [values.length], toTypedArray("int64", values));
  }

  scalar(value: number, dtype: DType = "float32"): string {
    return this.constant(dtype, [], toTypedArray(dtype, [value]));
  }

  shape(shape: Shape): string {
    if (shape.every((d) => typeof d === "number")) return this.ints(shape);
    const parts = shape.map((d) => (typeof d === "number" ? this.ints([d]) : this.dim(d)));
    return parts.length === 1 ? parts[0]! : this.node("Concat", parts, { axis: 0 });
  }

  /** A named size as int64 [1], computed from the inputs' shapes; kept, so each is computed once. */
  private dim(dim: string): string {
    const so = this.dims.get(dim);
    if (so) return so;
    const terms = dim.split(" + ").map((term) => {
      const factors = term.split("*").map((f) => (/^-?\d+$/.test(f) ? this.ints([Number(f)]) : this.sizeOfInput(f)));
      return factors.reduce((a, b) => this.node("Mul", [a, b]));
    });
    const value = terms.reduce((a, b) => this.node("Add", [a, b]));
    this.dims.set(dim, value);
    return value;
  }

  private sizeOfInput(name: string): string {
    for (const x of this.inputs) {
      const axis = x.shape.indexOf(name);
      if (axis >= 0)
        return this.node("Slice", [this.node("Shape", [x.name]), this.ints([axis]), this.ints([axis + 1])]);
    }
    // A size that only ever appears inside an expression, such as "past + t": solve the first input that holds it.
    for (const x of this.inputs)
      for (const [axis, d] of x.shape.entries()) {
        if (typeof d !== "string" || !d.split(" + ").includes(name)) continue;
        if (this.solving.has(name)) break;
        this.solving.add(name);
        const rest = addDims(d as Dim, `-1*${name}`);
        const whole = this.node("Slice", [this.node("Shape", [x.name]), this.ints([axis]), this.ints([axis + 1])]);
        const value = this.node("Sub", [whole, this.shape([rest])]);
        this.solving.delete(name);
        return value;
      }
    throw new TesseraError("shape", `emitOnnx: no input of the graph has the size ${JSON.stringify(name)}`);
  }

  subgraph(graph: Graph, outer: readonly (string | undefined)[]): OnnxSubgraph {
    const outside = { nodes: this.nodesSoFar, made: this.made, dims: new Map(this.dims), path: this.path };
    this.nodesSoFar = [];
    this.made = new Set();
    const names = new Map<Tensor, string>(graph.inputs.map((x, i) => [x, outer[i] ?? this.fresh()]));
    this.graph(graph, names);
    // An output is a value of its own, made inside.
    const taken = new Set<string>();
    const outputs = graph.outputs.map((y) => {
      const name = names.get(y)!;
      const own = this.made.has(name) && !taken.has(name) ? name : this.node("Identity", [name]);
      taken.add(own);
      return { name: own, aval: y };
    });
    const inner = this.nodesSoFar;
    this.nodesSoFar = outside.nodes;
    this.made = outside.made;
    this.path = outside.path;
    // What was computed inside is not visible outside.
    this.dims.clear();
    for (const [k, v] of outside.dims) this.dims.set(k, v);
    const inputs = graph.inputs.flatMap((x, i) => (outer[i] === undefined ? [{ name: names.get(x)!, aval: x }] : []));
    return { inputs, nodes: inner, outputs };
  }
}

function body({ inputs, nodes, outputs }: OnnxSubgraph): proto.Message {
  const info = ({ name, aval }: OnnxSubgraph["inputs"][number]) => proto.valueInfo(name, aval.dtype, aval.shape);
  return proto.graph("body", {
    nodes: nodes as proto.Message[],
    initializers: [],
    inputs: inputs.map(info),
    outputs: outputs.map(info),
  });
}

import { describe, expect, it } from "vitest";
import { type Aval, bind, input, type Primitive, Tensor, TesseraError, withScope } from "../core/index.js";
import { add, constant, mul, relu, scan, sum } from "../ops/index.js";
import { verify } from "./verify.js";

const types: { value: Aval | readonly Aval[] | Error } = { value: [] };
/** An operation whose rule says what the test wants it to say. */
const fickle: Primitive<1> = {
  name: "fickle",
  shape: () => {
    if (types.value instanceof Error) throw types.value;
    return types.value;
  },
  emit: () => "",
  vjp: null,
};

describe("verify", () => {
  const x = input("x", ["b", 3]);

  it("returns a sound graph as it is", () => {
    const graph = { inputs: [x], outputs: [sum(mul(x, x)), x, constant([1])] };
    expect(verify(graph)).toBe(graph);
  });

  it("names two inputs of one name", () => {
    expect(() => verify({ inputs: [x, input("x", [2])], outputs: [x] })).toThrow("verify: two inputs are named x");
  });

  it("names an input that a node produces", () => {
    const y = relu(x);
    expect(() => verify({ inputs: [y], outputs: [y] })).toThrow("verify: input relu is the result of a node");
  });

  it("names a value that is used and nowhere given, and by whom", () => {
    const y = withScope("h.0", () => withScope("mlp", () => add(x, input("w", [3]))));
    expect(() => verify({ inputs: [x], outputs: [y] })).toThrow("h.0.mlp.add: uses w, which is no input of the graph");
    expect(() => verify({ inputs: [], outputs: [x] })).toThrow(
      "verify: an output: uses x, which is no input of the graph",
    );
  });

  it("names an output whose type is not what the rule says", () => {
    const says = (first: Aval | readonly Aval[] | Error, then: Aval | readonly Aval[] | Error) => {
      types.value = first;
      const y = bind(fickle, [x], {});
      types.value = then;
      return () => verify({ inputs: [x], outputs: [y] });
    };
    const float = (shape: Aval["shape"]): Aval => ({ dtype: "float32", shape });
    expect(says(float(["b"]), float(["t"]))).toThrow("fickle: output 0 is float32[b], the rule says float32[t]");
    expect(says(float([2]), { dtype: "int64", shape: [2] })).toThrow(
      "fickle: output 0 is float32[2], the rule says int64[2]",
    );
    expect(says(float([2]), [float([2]), float([])])).toThrow("fickle: output 1 is none, the rule says float32[]");
    expect(says([float([2]), float([3])], float([2]))).toThrow("fickle: output 1 is float32[3], the rule says none");
    expect(says(float([2]), new TesseraError("shape", "sizes differ (2 vs 3)"))).toThrow(
      "fickle: sizes differ (2 vs 3)",
    );
  });

  it("looks into the graphs that nodes hold", () => {
    const [s, e, stray] = [input("s", [2]), input("e", [2, 5]), input("stray", [2])];
    const { carries } = scan(([before], [now]) => ({ carries: [add(before!, now!)] }), [s], [e]);
    const node = carries[0]!.node!;
    const body = { inputs: node.attrs.body.inputs, outputs: [add(node.attrs.body.outputs[0], stray)] };
    const broken = new Tensor("float32", [2], { ...node, attrs: { ...node.attrs, body } }, 0, "scan");
    expect(() => verify({ inputs: [s, e], outputs: [broken] })).toThrow(
      "add: uses stray, which is no input of the graph",
    );
  });
});

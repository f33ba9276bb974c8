import { afterEach, describe, expect, it } from "vitest";
import { add, matmul, mul, relu } from "../ops/index.js";
import { TesseraError } from "./errors.js";
import { topologicalOrder } from "./graph.js";
import { module, param } from "./module.js";
import { bind, bindAll, type Primitive } from "./primitive.js";
import { input, type Tensor } from "./tensor.js";
import { currentPath, isObserved, observe, withObserver, withScope } from "./trace.js";

const x = input("x", [2, 3]);
afterEach(() => expect([currentPath(), isObserved()]).toEqual(["", false]));

describe("scopes", () => {
  it("make the path of what is traced", () => {
    withScope("h", () => withScope("0.attn", () => expect(relu(x).node!.path).toBe("h.0.attn.relu")));
    expect(relu(x).node!.path).toBe("relu");
  });

  it("end with an error too", () => {
    expect(() =>
      withScope("h", () => {
        throw new Error("inside");
      }),
    ).toThrow("inside");
    expect(currentPath()).toBe("");
  });

  it("stand in front of the messages of operations", () => {
    const fault = () =>
      withScope("h.0", () => withScope("c_attn", () => matmul(input("x", ["b", "t", 768]), input("w", [512, 2304]))));
    expect(fault).toThrow(
      new TesseraError("shape", "h.0.c_attn.matmul: inner sizes differ, [b, t, 768] @ [512, 2304] (768 vs 512)"),
    );
    expect(fault).toThrow(expect.objectContaining({ code: "shape", cause: expect.any(TesseraError) }));
  });
});

describe("observers", () => {
  const seen: [string, Tensor][] = [];
  const watch = (path: string, value: Tensor) => {
    seen.push([path, value]);
    return value;
  };
  afterEach(() => {
    seen.length = 0;
  });

  const leaf = module({ weight: param([3], "ones") }, ({ weight }, y: Tensor) => observe("inner", mul(y, weight)));
  const tree = module({ stem: leaf, h: [leaf, leaf] }, ({ stem, h }, y: Tensor) =>
    h.reduce((z, block) => block(z), stem(y)),
  );
  const params = { stem: { weight: x }, h: [{ weight: x }, { weight: x }] };

  it("see every module and every value that is shown, under its path", () => {
    const y = withObserver(watch, () => tree(params, x));
    expect(seen.map(([path]) => path)).toEqual(["stem.inner", "stem", "h.0.inner", "h.0", "h.1.inner", "h.1"]);
    expect(seen.at(-1)![1]).toBe(y);
  });

  it("may replace a value", () => {
    const y = withObserver(
      (path, value) => (path === "h.0" ? x : value),
      () => tree(params, x),
    );
    expect(y.node!.inputs[0]).toBe(x);
  });

  it("nest: the innermost sees a value first", () => {
    const outer = input("outer", [2, 3]);
    const result = withObserver(watch, () =>
      withObserver(
        () => outer,
        () => observe("v", x),
      ),
    );
    expect(result).toBe(outer);
    expect(seen).toEqual([["v", outer]]);
  });

  it("do not stay after an error, and without any nothing is shown", () => {
    expect(() =>
      withObserver(watch, () => {
        throw new Error("inside");
      }),
    ).toThrow("inside");
    expect(observe("v", x)).toBe(x);
    expect(seen).toEqual([]);
  });
});

describe("bind", () => {
  it("makes a tensor for each output", () => {
    const pair: Primitive<1, { n: number }> = {
      name: "pair",
      shape: ([a], { n }) => [a, { dtype: "int64", shape: [n] }],
      emit: () => ["", ""],
      vjp: null,
    };
    const [first, second] = bindAll(pair, [x], { n: 5 }) as [Tensor, Tensor];
    expect([first.toString(), second.toString()]).toEqual(["pair: float32[2, 3]", "pair: int64[5]"]);
    expect([first.index, second.index, first.node === second.node]).toEqual([0, 1, true]);
    expect(bind(pair, [x], { n: 1 }).index).toBe(0);
    expect([x.rank, second.rank]).toEqual([2, 1]);
  });

  it("lets errors that are not its own through unchanged", () => {
    const broken: Primitive<0> = {
      name: "broken",
      shape: () => {
        throw new RangeError("no fault of the caller");
      },
      emit: () => "",
      vjp: null,
    };
    expect(() => withScope("h", () => bind(broken, [], {}))).toThrow(new RangeError("no fault of the caller"));
  });
});

describe("topologicalOrder", () => {
  it("puts producers first, each once", () => {
    const a = relu(x);
    const b = mul(a, a);
    const c = add(b, a);
    expect(topologicalOrder([c, a, c]).map((n) => n.outputs[0])).toEqual([a, b, c]);
    expect(topologicalOrder([x])).toEqual([]);
  });

  it("stops at what is known", () => {
    const a = relu(x);
    const b = mul(a, a);
    expect(topologicalOrder([b], new Set([a])).map((n) => n.outputs[0])).toEqual([b]);
  });

  it("takes 100,000 nodes in a row", () => {
    let y = x;
    for (let i = 0; i < 100_000; i++) y = relu(y);
    expect(topologicalOrder([y])).toHaveLength(100_000);
  });
});

describe("the path of a child", () => {
  it("is where it was declared, also when it is called inside another child", () => {
    const leaf = module({}, (_, x: Tensor) => observe("inside", x));
    const wrapper = module({}, (_, f: (x: Tensor) => Tensor, x: Tensor) => f(x));
    const whole = module({ wrapper, leaf }, ({ wrapper, leaf }, x: Tensor) => wrapper((y) => leaf(y), x));
    const paths: string[] = [];
    withObserver(
      (path, value) => {
        paths.push(path);
        return value;
      },
      () => whole({ wrapper: {}, leaf: {} }, input("x", [1])),
    );
    expect(paths).toEqual(["leaf.inside", "leaf", "wrapper"]);
  });
});

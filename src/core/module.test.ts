import { describe, expect, expectTypeOf, it } from "vitest";
import { add, matmul } from "../ops/index.js";
import { initialize } from "./initialize.js";
import { type BoundModule, module, type ParamsOf, param, parametersOf, parameterTree } from "./module.js";
import { input, Tensor } from "./tensor.js";
import { withObserver } from "./trace.js";

const linear = (nIn: number, nOut: number) =>
  module(
    { weight: param([nOut, nIn], { normal: 0.02 }), bias: param([nOut], "zeros") },
    ({ weight, bias }, x: Tensor) => add(matmul(x, weight, { transB: true }), bias),
  );
const mlp = (d: number) =>
  module({ c_fc: linear(d, 4 * d), c_proj: linear(4 * d, d) }, ({ c_fc, c_proj }, x: Tensor) => c_proj(c_fc(x)));
const block = (d: number, gated: boolean) =>
  module(
    { mlp: mlp(d), gate: gated ? linear(d, d) : undefined, scale: gated ? param([d], "ones") : undefined },
    ({ mlp, gate, scale }, x: Tensor, deep: boolean): Tensor => {
      const y = deep ? mlp(mlp(x)) : mlp(x);
      return add(gate ? gate(y) : y, scale ?? 0);
    },
  );
const model = (layers: number) =>
  module(
    {
      wte: param([16, 8], { uniform: 0.1 }),
      h: Array.from({ length: layers }, (_, i) => block(8, i === 0)),
      $head: linear(8, 16),
    },
    ({ wte, h, $head }, x: Tensor) => {
      expectTypeOf(wte).toEqualTypeOf<Tensor>();
      expectTypeOf($head.params.weight).toEqualTypeOf<Tensor>();
      return $head(h.reduce((y, b) => b(y, false), matmul(x, wte)));
    },
  );

const made = (root: ReturnType<typeof model>) => parameterTree(root, (path, { shape }) => input(path, shape));

describe("module", () => {
  it("names its parameters by their paths, in order", () => {
    expect([...parametersOf(model(2))].map(([path, { shape }]) => `${path} ${shape.join("x")}`)).toEqual([
      "wte 16x8",
      "h.0.mlp.c_fc.weight 32x8",
      "h.0.mlp.c_fc.bias 32",
      "h.0.mlp.c_proj.weight 8x32",
      "h.0.mlp.c_proj.bias 8",
      "h.0.gate.weight 8x8",
      "h.0.gate.bias 8",
      "h.0.scale 8",
      "h.1.mlp.c_fc.weight 32x8",
      "h.1.mlp.c_fc.bias 32",
      "h.1.mlp.c_proj.weight 8x32",
      "h.1.mlp.c_proj.bias 8",
      "weight 16x8",
      "bias 16",
    ]);
  });

  it("is a function of its parameters", () => {
    const root = model(2);
    const params = made(root);
    expect(root(params, input("x", ["b", 16])).shape).toEqual(["b", 16]);
    expect(params.h[1]!.mlp.c_fc.bias.name).toBe("h.1.mlp.c_fc.bias");
    expect(params.h[1]!.gate).toBeUndefined();
  });

  it("traces under the paths of its children", () => {
    const root = model(1);
    const paths: string[] = [];
    const watch = (path: string, value: Tensor) => {
      paths.push(path);
      return value;
    };
    withObserver(watch, () => root(made(root), input("x", [3, 16])));
    expect(paths).toEqual(["h.0.mlp.c_fc", "h.0.mlp.c_proj", "h.0.mlp", "h.0.gate", "h.0", "$head"]);
  });

  it("names a missing tensor", () => {
    expect(() => parameterTree(mlp(4), (path) => (path === "c_fc.weight" ? undefined : input(path, [1])))).toThrow(
      "c_fc.weight: no tensor for this parameter",
    );
  });
});

describe("initialize", () => {
  const spread = (data: ArrayLike<number>) =>
    Math.sqrt(Array.from(data).reduce((sum, v) => sum + v * v, 0) / data.length);

  it("draws what each parameter asks for", () => {
    const weights = initialize(linear(100, 100), 1);
    const { data } = weights.get("weight")!;
    expect(spread(data as Float32Array)).toBeCloseTo(0.02, 3);
    expect(weights.get("bias")!.data).toEqual(new Float32Array(100));
    const uniform = initialize(
      module({ a: param([2000], { uniform: 0.3 }), b: param([2], "ones") }, () => 0),
      1,
    );
    expect(Math.max(...Array.from(uniform.get("a")!.data as Float32Array, Math.abs))).toBeLessThanOrEqual(
      Math.fround(0.3),
    );
    expect(spread(uniform.get("a")!.data as Float32Array)).toBeCloseTo(0.3 / Math.sqrt(3), 2);
    expect(uniform.get("b")!.data).toEqual(Float32Array.of(1, 1));
  });

  it("depends on the seed and each parameter's path, on nothing else", () => {
    const [one, same, other] = [initialize(mlp(4), 1), initialize(mlp(4), 1), initialize(mlp(4), 2)];
    expect(one).toEqual(same);
    expect(one.get("c_fc.weight")).not.toEqual(other.get("c_fc.weight"));
    const alone = initialize(
      module({ c_proj: linear(16, 4) }, () => 0),
      1,
    );
    expect(alone.get("c_proj.weight")).toEqual(one.get("c_proj.weight"));
  });
});

it("types what is wrong as errors", () => {
  const x = input("x", [2, 8]);
  const root = mlp(8);
  const params = parameterTree(root, (path, { shape }) => input(path, shape));
  expectTypeOf(params).toEqualTypeOf<ParamsOf<typeof root.spec>>();
  expectTypeOf(params.c_fc.weight).toEqualTypeOf<Tensor>();
  expectTypeOf(root).parameters.toEqualTypeOf<[params: typeof params, x: Tensor]>();
  expectTypeOf(root).returns.toEqualTypeOf<Tensor>();
  expect(root(params, x)).toBeInstanceOf(Tensor);

  const refused = [
    // @ts-expect-error a child that the spec does not have
    () => module({ c_fc: linear(8, 8) }, ({ c_proj }, y: Tensor) => c_proj(y)),
    // @ts-expect-error a parameter is no function
    () => module({ weight: param([8], "ones") }, ({ weight }, y: Tensor) => weight(y)),
    // @ts-expect-error a child's argument of another type
    () => module({ c_fc: linear(8, 8) }, ({ c_fc }, y: number) => c_fc(y)),
    // @ts-expect-error too few arguments for a child
    () => module({ b: block(8, true) }, ({ b }, y: Tensor) => b(y)),
    // @ts-expect-error a child that may be left out, called as if it were there
    () => module({ gate: undefined as ReturnType<typeof linear> | undefined }, ({ gate }, y: Tensor) => gate(y)),
    // @ts-expect-error a parameter that may be left out, used as if it were there
    () => module({ s: undefined as ReturnType<typeof param> | undefined }, ({ s }, y: Tensor) => matmul(y, s)),
    // @ts-expect-error one of several children that may not exist
    () => module({ h: [linear(8, 8)] }, ({ h }, y: Tensor) => h[0](y)),
    // @ts-expect-error another module's parameters
    () => linear(8, 8)(params, x),
    // @ts-expect-error a parameter that the tree does not have
    () => params.c_fc.wieght,
    // @ts-expect-error no parameters
    () => root(x),
    // @ts-expect-error an argument of another type
    () => root(params, [1, 2]),
    // @ts-expect-error too many arguments
    () => root(params, x, true),
    // @ts-expect-error a start that does not exist
    () => param([2], "random"),
  ];
  expect(refused).toHaveLength(13);
});

it("gives a bound child its parameters, for weights that are tied", () => {
  const tied = module({ wte: linear(8, 16) }, ({ wte }, x: Tensor) => {
    expectTypeOf(wte).toExtend<
      BoundModule<{ weight: ReturnType<typeof param>; bias: ReturnType<typeof param> }, [x: Tensor], Tensor>
    >();
    return matmul(wte(x), wte.params.weight);
  });
  const params = parameterTree(tied, (path, { shape }) => input(path, shape));
  expect(tied(params, input("x", [2, 8])).node!.inputs[1]).toBe(params.wte.weight);
});

import { TesseraError } from "./errors.js";
import { Tensor } from "./tensor.js";
import { currentScope, observe, withinScope } from "./trace.js";

/**
 * How a parameter starts: a constant, several of them in equal parts (the biases of gates), a normal (`normal` its standard
 * deviation, mean 0) or a uniform on ±`uniform`.
 */
export type Init =
  | "zeros"
  | "ones"
  | { readonly parts: readonly number[] }
  | { readonly normal: number }
  | { readonly uniform: number };

/** A learned tensor of a module: its shape and how it starts. */
export interface Param {
  readonly kind: "param";
  readonly shape: readonly number[];
  readonly init: Init;
  /** A {@link buffer}: on disk like the others, and never trained. */
  readonly fixed?: true;
}

/** Declares a learned tensor. */
export function param(shape: readonly number[], init: Init): Param {
  return { kind: "param", shape, init };
}

/** Declares a tensor that belongs to a checkpoint and is not learned. */
export function buffer(shape: readonly number[], init: Init): Param {
  return { kind: "param", shape, init, fixed: true };
}

/**
 * The children of a module. Keys are parameter paths, spelled as the checkpoint spells them (they may hold dots); `undefined` is
 * a child left out. A key that starts with `$` is not on disk: its child's parameters stand directly under this module's path.
 */
export type Spec = { readonly [name: string]: Param | AnyModule | readonly AnyModule[] | undefined };

/** A function of tensors that owns parameters: called with a tree of them, and its arguments. */
export interface Module<S extends Spec, A extends unknown[], R> {
  readonly kind: "module";
  readonly spec: S;
  (params: ParamsOf<S>, ...args: A): R;
}

/** A module of whatever kind. */
export interface AnyModule {
  readonly kind: "module";
  // biome-ignore lint/suspicious/noExplicitAny: the precise types live in Module
  readonly spec: any;
  // biome-ignore lint/suspicious/noExplicitAny: the precise types live in Module
  (params: any, ...args: any[]): any;
}

/** The tree of tensors that a spec asks for: the same keys, a tensor at each parameter. */
export type ParamsOf<S> = S extends Spec
  ? {
      readonly [K in keyof S]: S[K] extends Param
        ? Tensor
        : S[K] extends Param | undefined
          ? Tensor | undefined
          : // biome-ignore lint/suspicious/noExplicitAny: inference positions
            S[K] extends Module<infer C, any, any>
            ? ParamsOf<C>
            : // biome-ignore lint/suspicious/noExplicitAny: inference positions
              S[K] extends Module<infer C, any, any> | undefined
              ? ParamsOf<C> | undefined
              : // biome-ignore lint/suspicious/noExplicitAny: inference positions
                S[K] extends readonly Module<infer C, any, any>[]
                ? readonly ParamsOf<C>[]
                : unknown;
    }
  : never;

/** A child module with its parameters already in place; `params` gives them, for tied weights. */
export type BoundModule<C, A extends unknown[], R> = ((...args: A) => R) & { readonly params: ParamsOf<C> };

/** What `forward` receives: each parameter as a tensor, each child ready to call. */
export type Bound<S extends Spec> = {
  readonly [K in keyof S]: S[K] extends Param
    ? Tensor
    : S[K] extends Param | undefined
      ? Tensor | undefined
      : S[K] extends Module<infer C, infer A, infer R>
        ? BoundModule<C, A, R>
        : S[K] extends Module<infer C, infer A, infer R> | undefined
          ? BoundModule<C, A, R> | undefined
          : S[K] extends readonly Module<infer C, infer A, infer R>[]
            ? readonly BoundModule<C, A, R>[]
            : never;
};

/**
 * A module from its parameters and children and a pure function of them.
 *
 * @param spec parameters and child modules under their checkpoint names
 * @param forward receives every child bound to its own parameters, then the arguments of the call
 * @example
 * const linear = (nIn: number, nOut: number) =>
 *   module({ weight: param([nOut, nIn], { normal: 0.02 }), bias: param([nOut], "zeros") },
 *     ({ weight, bias }, x: Tensor) => add(matmul(x, weight, { transB: true }), bias));
 */
export function module<const S extends Spec, A extends unknown[], R>(
  spec: S,
  forward: (self: Bound<S>, ...args: A) => R,
): Module<S, A, R> {
  const call = (params: ParamsOf<S>, ...args: A): R => {
    const tree = params as Record<string, unknown>;
    const at = currentScope(); // a child's path is where it was declared, wherever it is called: inside another child, say
    const self: Record<string, unknown> = {};
    for (const [name, child] of Object.entries(spec)) {
      if (child === undefined) continue;
      if (Array.isArray(child))
        self[name] = child.map((m, i) => bindChild(m, (tree[name] as unknown[])[i], [...at, `${name}.${i}`]));
      else
        self[name] =
          (child as Param).kind === "param" ? tree[name] : bindChild(child as AnyModule, tree[name], [...at, name]);
    }
    return forward(self as Bound<S>, ...args);
  };
  return Object.assign(call, { kind: "module" as const, spec });
}

function bindChild(child: AnyModule, params: unknown, path: readonly string[]): (...args: unknown[]) => unknown {
  const call = (...args: unknown[]): unknown =>
    withinScope(path, () => {
      const output: unknown = child(params, ...args);
      return output instanceof Tensor ? observe("", output) : output;
    });
  return Object.assign(call, { params });
}

/** Every parameter of a module under its full path, in the order of the spec. */
export function parametersOf(root: AnyModule): ReadonlyMap<string, Param> {
  const found = new Map<string, Param>();
  walk(root, "", (path, p) => found.set(path, p));
  return found;
}

/**
 * The tree of tensors a module is called with, from its parameters' paths.
 *
 * @throws TesseraError `checkpoint` when `at` has no tensor for a path
 */
export function parameterTree<S extends Spec>(
  root: { readonly spec: S } & AnyModule,
  at: (path: string, param: Param) => Tensor | undefined,
): ParamsOf<S> {
  return walk(root, "", (path, p) => {
    const tensor = at(path, p);
    if (!tensor) throw new TesseraError("checkpoint", `${path}: no tensor for this parameter`);
    return tensor;
  }) as ParamsOf<S>;
}

function walk<T>(root: AnyModule, prefix: string, visit: (path: string, param: Param) => T): unknown {
  const tree: Record<string, unknown> = {};
  for (const [name, child] of Object.entries(root.spec as Spec)) {
    if (child === undefined) continue;
    const path = [prefix, name.startsWith("$") ? "" : name].filter(Boolean).join(".");
    if (Array.isArray(child)) tree[name] = child.map((m: AnyModule, i) => walk(m, `${path}.${i}`, visit));
    else
      tree[name] =
        (child as Param).kind === "param" ? visit(path, child as Param) : walk(child as AnyModule, path, visit);
  }
  return tree;
}

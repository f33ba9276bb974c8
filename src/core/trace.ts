import type { Tensor } from "./tensor.js";

/** Sees, and may replace, every module output and every observed intermediate while a graph is traced. */
export type Observer = (path: string, value: Tensor) => Tensor;

// Tracing is synchronous, so one stack for the process is enough and blocks need no scope argument.
let scope: readonly string[] = [];
const observers: Observer[] = [];

/** The module path that is being traced: `"h.0.attn"`. */
export function currentPath(): string {
  return scope.join(".");
}

/** Runs `body` with `name` appended to the module path. */
export function withScope<R>(name: string, body: () => R): R {
  return withinScope([...scope, name], body);
}

/** The module path that is being traced, part by part. */
export function currentScope(): readonly string[] {
  return scope;
}

/** Runs `body` with another module path. */
export function withinScope<R>(path: readonly string[], body: () => R): R {
  const outside = scope;
  scope = path;
  try {
    return body();
  } finally {
    scope = outside;
  }
}

/** Runs `body` with an observer of everything it traces. Observers nest; the innermost sees a value first. */
export function withObserver<R>(observer: Observer, body: () => R): R {
  observers.push(observer);
  try {
    return body();
  } finally {
    observers.pop();
  }
}

/** Runs `body` with nobody looking: what the body of a loop computes is no value of the graph around it. */
export function unobserved<R>(body: () => R): R {
  const waiting = observers.splice(0);
  try {
    return body();
  } finally {
    observers.push(...waiting);
  }
}

/** Whether anybody looks: lets a block choose a form that shows its inside (attention maps) over a fused one. */
export function isObserved(): boolean {
  return observers.length > 0;
}

/**
 * Offers an intermediate value to the observers under a name below the current module, and returns what is to be used in its place.
 *
 * @param name the last part of the path; `""` stands for the output of the module itself
 */
export function observe(name: string, value: Tensor): Tensor {
  if (observers.length === 0) return value;
  const path = [...scope, name].filter(Boolean).join(".");
  return observers.reduceRight((seen, observer) => observer(path, seen), value);
}

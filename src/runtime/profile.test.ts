import { expect, test } from "vitest";
import { operatorTimes } from "./profile.js";

test("times are summed by operator, longest first; only kernels count", () => {
  const kernel = (op_name: string, dur: number) => ({
    cat: "Node",
    name: `n_${op_name}_kernel_time`,
    dur,
    args: { op_name },
  });
  const events = [
    { cat: "Session", name: "model_run", dur: 9000, args: {} },
    kernel("Add", 1500),
    kernel("MatMul", 2000),
    { cat: "Node", name: "n_Add_fence_before", dur: 7000, args: { op_name: "Add" } },
    kernel("Add", 1000),
  ];
  expect(operatorTimes(JSON.stringify(events))).toEqual([
    { operator: "Add", calls: 2, milliseconds: 2.5 },
    { operator: "MatMul", calls: 1, milliseconds: 2 },
  ]);
});

test("what is no profile is refused", () => {
  expect(() => operatorTimes("[")).toThrow("not valid JSON");
  expect(() => operatorTimes("{}")).toThrow("not a list of events");
});

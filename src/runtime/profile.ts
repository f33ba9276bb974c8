import { TesseraError } from "../core/errors.js";
import type { OperatorTime } from "./session.js";

interface ProfileEvent {
  readonly cat?: string;
  readonly name?: string;
  readonly dur?: number;
  readonly args?: { readonly op_name?: string };
}

/**
 * Time by operator type, longest first, from the profile ONNX Runtime writes (trace events as JSON, times in microseconds).
 *
 * @throws TesseraError `runtime` when the text is not such a profile
 */
export function operatorTimes(json: string): readonly OperatorTime[] {
  const totals = new Map<string, { calls: number; milliseconds: number }>();
  for (const { cat, name, dur, args } of readEvents(json)) {
    if (cat !== "Node" || !name?.endsWith("_kernel_time") || args?.op_name === undefined || dur === undefined) continue;
    const total = totals.get(args.op_name) ?? { calls: 0, milliseconds: 0 };
    total.calls++;
    total.milliseconds += dur / 1000;
    totals.set(args.op_name, total);
  }
  return [...totals]
    .map(([operator, total]) => ({ operator, ...total }))
    .sort((a, b) => b.milliseconds - a.milliseconds);
}

function readEvents(json: string): readonly ProfileEvent[] {
  try {
    const events: unknown = JSON.parse(json);
    if (Array.isArray(events)) return events;
  } catch (cause) {
    throw new TesseraError("runtime", "Session.profile: the engine's profile is not valid JSON", { cause });
  }
  throw new TesseraError("runtime", "Session.profile: the engine's profile is not a list of events");
}

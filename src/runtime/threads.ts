import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

/**
 * Threads that make an operator fastest: the physical cores this process may use. Two hardware threads of one core share its
 * arithmetic units, so more threads than cores do not help. Linux tells which belong together; elsewhere every processor counts.
 */
export function defaultThreads(): number {
  const processors = availableParallelism();
  const cores = process.platform === "linux" ? linuxCores() : 0;
  return cores === 0 ? processors : Math.min(processors, cores);
}

/** Physical cores among the processors this process is allowed on; 0 when the system does not say. */
function linuxCores(): number {
  try {
    const allowed = /^Cpus_allowed_list:\s*(.+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
    const siblings = processorList(allowed).map((cpu) =>
      readFileSync(`/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`, "utf8"),
    );
    return new Set(siblings).size;
  } catch {
    return 0;
  }
}

/** `"0-2,8"` → 0, 1, 2, 8. */
export function processorList(text: string): number[] {
  return text.split(",").flatMap((range) => {
    const [first = Number.NaN, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

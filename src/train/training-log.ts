import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { writeFileAtomic } from "../hub/atomic-write.js";
import { ioError } from "../hub/regular-file.js";
import type { Metrics } from "./metrics.js";

/** A line of the log. */
export interface TrainRecord {
  readonly type: "train";
  /** Updates made. */
  readonly step: number;
  /** Mean over the steps since the line before. */
  readonly loss: number;
  /** Of this step, as is the norm. */
  readonly learning_rate: number;
  readonly gradient_norm: number;
  /** Tokens trained on since the beginning. */
  readonly tokens: number;
  readonly tokens_per_second: number;
  /** Time spent since the beginning. */
  readonly seconds: number;
}

/** A line for an evaluation. */
export interface EvaluationRecord {
  readonly type: "evaluation";
  readonly step: number;
  readonly loss: number;
  /** `e` to the loss. */
  readonly perplexity: number;
  /** The task's metrics, where it has any. */
  readonly metrics?: Metrics;
  readonly seconds: number;
}

export type LogRecord = TrainRecord | EvaluationRecord;

/** A log in JSON lines. */
export interface TrainingLog extends Disposable {
  /** All lines, in order. */
  readonly records: readonly LogRecord[];
  append(record: LogRecord): void;
  /** Makes what was appended durable. */
  sync(): void;
}

/**
 * Opens the log of a run that goes on from a step. Lines of later steps, which a killed process wrote after its last checkpoint,
 * are removed, as is a last line that is cut short: these steps are going to be written again.
 *
 * @throws TesseraError `io` when it cannot be read or written
 */
export function openLog(path: string, step: number): TrainingLog {
  const records = existsSync(path) ? readRecords(path).filter((record) => record.step <= step) : [];
  writeFileAtomic(path, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
  const act = <T>(body: () => T): T => {
    try {
      return body();
    } catch (cause) {
      throw ioError(path, "written", cause);
    }
  };
  const fd = act(() => openSync(path, "a"));
  return {
    records,
    append(record) {
      records.push(record);
      act(() => writeSync(fd, `${JSON.stringify(record)}\n`));
    },
    sync: () => act(() => fsyncSync(fd)),
    [Symbol.dispose]: () => closeSync(fd),
  };
}

function readRecords(path: string): LogRecord[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw ioError(path, "read", cause);
  }
  return text.split("\n").flatMap((line) => {
    try {
      const record: LogRecord = JSON.parse(line);
      return Number.isSafeInteger(record.step) && (record.type === "train" || record.type === "evaluation")
        ? [record]
        : [];
    } catch {
      return []; // cut short
    }
  });
}

import { createInterface } from "node:readline";
import { TesseraError } from "../core/errors.js";
import { interruptible } from "./interruptible.js";

/**
 * A line at a time until the input ends. What is interrupted, or goes wrong as expected, ends alone and not the session.
 *
 * @param respond to a line that is not empty
 */
export async function converse(respond: (line: string, signal: AbortSignal) => Promise<void>): Promise<void> {
  const terminal = process.stdin.isTTY === true;
  const lines = createInterface({
    input: process.stdin,
    output: terminal ? process.stdout : undefined,
    prompt: "> ",
    terminal,
  });
  if (terminal) lines.prompt();
  for await (const line of lines) {
    if (line.trim() !== "") {
      try {
        await interruptible((signal) => respond(line, signal), lines);
      } catch (error) {
        if (!(error instanceof TesseraError)) throw error;
        if (error.code !== "aborted") {
          console.error(`error: ${error.message}`);
          if (!terminal) process.exitCode = 1;
        }
      }
    }
    if (terminal) lines.prompt();
  }
}

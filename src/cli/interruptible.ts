/** Runs with a signal that Ctrl-C aborts; a second Ctrl-C ends the process as usual. */
export async function interruptible(
  run: (signal: AbortSignal) => Promise<void>,
  source: {
    once(event: "SIGINT", listener: () => void): unknown;
    off(event: "SIGINT", listener: () => void): unknown;
  } = process,
): Promise<void> {
  const controller = new AbortController();
  const abort = () => controller.abort();
  source.once("SIGINT", abort);
  try {
    await run(controller.signal);
  } finally {
    source.off("SIGINT", abort);
  }
}

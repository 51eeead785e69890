import { setTimeout as sleep } from "node:timers/promises";

/**
 * Waits until the server answers a question.
 *
 * @param ask fails as long as it does not
 * @param broken gives the reason once there is no hope left
 */
export async function untilItAnswers(
  ask: () => Promise<unknown>,
  { broken, signal }: { readonly broken?: () => string | undefined; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    signal?.throwIfAborted();
    const why = broken?.();
    if (why !== undefined) throw new Error(why);
    try {
      await ask();
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

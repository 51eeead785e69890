import { setTimeout as sleep } from "node:timers/promises";
import { type AnyConsumer, type ConsumerStateStore, isTransient, type Store } from "@tidemark/core";

/** Keeps one consumer going until the signal fires. Any number of processes may do this: one of them works. */
export async function keepConsuming<Tx>(
  store: Store<Tx>,
  state: ConsumerStateStore<Tx>,
  consumer: AnyConsumer<Tx>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const result = await state.consume(consumer, { signal });
      if (result.kind === "stopped") throw result.error; // failure policy "stop": somebody has to look
      if (result.kind === "caught-up") await store.wait(result.position, { timeoutMs: 1_000, signal });
      else await sleep(1_000, undefined, { signal }); // busy, disabled, rejected, zone-lost
    } catch (error) {
      if (signal.aborted) return;
      if (!isTransient(error)) throw error;
      await sleep(1_000);
    }
  }
}

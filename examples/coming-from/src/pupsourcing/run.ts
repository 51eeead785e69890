import type { SqliteStore } from "@tidemark/adapter-sqlite";
import { consume, isTidemarkError } from "@tidemark/core";
import { Balances } from "./consumer.ts";

/** `RunModeOneOff`: until caught up. */
export async function runOnce(store: SqliteStore): Promise<void> {
  const result = await consume(store, new Balances(), { fetchSize: 100 });
  if (result.kind === "stopped") throw result.error; // the event after result.position
}

/** `RunModeContinuous`, until the signal fires. */
export async function runOn(store: SqliteStore, signal: AbortSignal): Promise<void> {
  try {
    for (;;) {
      const result = await consume(store, new Balances(), { signal });
      if (result.kind === "stopped") throw result.error;
      await store.wait(result.kind === "busy" ? await store.head() : result.position, { timeoutMs: 5_000, signal });
    }
  } catch (error) {
    if (!isTidemarkError(error, "ABORTED")) throw error;
  }
}

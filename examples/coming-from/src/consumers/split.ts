import { type AnyConsumer, consume, type Store } from "@tidemark/core";

/** Runs all segments until the consumer has as many as it was asked to have. Other processes may do the same. */
export async function split<Tx>(store: Store<Tx>, consumer: AnyConsumer<Tx>, name: string, to: number): Promise<void> {
  await store.consumers.resegment(name, to); // from now on every segment stops at one position
  for (;;) {
    const state = await store.consumers.get(name);
    if (state === undefined || state.layout === undefined) return; // written
    for (const { segment } of state.segments) await consume(store, consumer, { segment });
  }
}

import type { Store } from "@tidemark/core";

/** Shows what is parked, and asks for another try of the failures. What waits behind one follows it by itself. */
export async function retryFailures<Tx>(store: Store<Tx>, consumer: string): Promise<number> {
  let asked = 0;
  for await (const { event, cause, attempts } of store.deadLetters.list(consumer)) {
    if (cause === undefined) continue; // it only waits
    console.log(`${event.type} at ${event.position}: ${cause.message} (${attempts} attempts)`);
    asked += await store.deadLetters.retry(consumer, event.position);
  }
  return asked;
}

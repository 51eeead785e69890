import { randomUUID } from "node:crypto";
import type { Store } from "@tidemark/core";

/** What every benchmark appends. */
export const DATA = {
  orderId: "0f8fad5b-d9cb-469f-a165-70867728950e",
  customer: "c-4711",
  total: 129.9,
  currency: "EUR",
};

/** Each caller appends one event at a time to an aggregate of its own. */
export async function appendByCallers<Tx>(store: Store<Tx>, callers: number, eventsEach: number): Promise<void> {
  const appends = names(callers).map(async (id) => {
    for (let count = 0; count < eventsEach; count++) {
      await store.append({ aggregate: { type: "order", id }, events: [{ type: "order-placed", data: DATA }] });
    }
  });
  await Promise.all(appends);
}

/** Aggregates that no other round has used. */
export function names(count: number): readonly string[] {
  return Array.from({ length: count }, () => randomUUID());
}

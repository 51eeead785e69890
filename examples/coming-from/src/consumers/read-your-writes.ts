import { isTidemarkError, type Position, type Store } from "@tidemark/core";

/** Waits until the read model has what was just appended, or says why it does not. */
export async function untilShown<Tx>(store: Store<Tx>, order: string, position: Position): Promise<string> {
  try {
    const outcome = await store.waitFor("revenue", position, {
      aggregate: { type: "order", id: order },
      timeoutMs: 2_000,
    });
    return outcome === "applied" ? "shown" : "an event of this order is parked";
  } catch (error) {
    if (!isTidemarkError(error, "WAIT_TIMEOUT")) throw error;
    return "not yet";
  }
}

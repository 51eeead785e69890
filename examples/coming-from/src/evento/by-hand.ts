import type { ConsumerStateStore } from "@tidemark/core";

/** Moves a saga's data by hand, in the exclusive zone of its consumer. False when somebody else is in there. */
export async function raiseTotal<Tx>(state: ConsumerStateStore<Tx>, orderId: string, by: number): Promise<boolean> {
  if (!(await state.enterExclusiveZone("payment", "saga"))) return false;
  try {
    const { id, version, state: saga } = await state.getSagaState<{ total: number }>("payment", "orderId", orderId);
    if (id === undefined || saga === undefined) return true;
    const changed = { ...saga, data: { total: saga.data.total + by } };
    await state.setSagaState(id, "payment", changed, { expectedVersion: version, consumerId: "payment" });
    return true;
  } finally {
    await state.leaveExclusiveZone("payment");
  }
}

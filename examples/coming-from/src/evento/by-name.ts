import type { SqliteTransaction } from "@tidemark/adapter-sqlite";
import type { ConsumerStateStore, RecordedEvent, TransactionalContext } from "@tidemark/core";

function count(event: RecordedEvent, { tx }: TransactionalContext<SqliteTransaction>): void {
  tx.prepare("insert into seen values (?) on conflict do nothing").run(event.type);
}

/** One cycle of each. The numbers are events handled; -1 means that somebody else holds the zone. */
export async function consumeByName(state: ConsumerStateStore<SqliteTransaction>): Promise<readonly number[]> {
  return [
    await state.consumeEventsForProjector("types-v1", "Types", "*", count, 100),
    await state.consumeEventsForObserver("log-v1", "Log", "*", (event) => console.log(event.type)),
    await state.consumeEventsForSaga<{ readonly events: number }>("orders-v1", "Orders", "*", async (event, find) => {
      if (event.aggregate.type !== "order") return undefined; // changes nothing
      const { state: found } = await find("orderId", event.aggregate.id);
      const data = { events: (found?.data.events ?? 0) + 1 };
      return { associations: { orderId: event.aggregate.id }, data, ended: event.type === "order-cancelled" };
    }),
  ];
}

/** After the cause is mended: tries again what was parked, the oldest first. */
export async function retryDeadEvents(state: ConsumerStateStore<SqliteTransaction>): Promise<number> {
  for await (const { event, cause, attempts } of state.getDeadEvents("types-v1")) {
    console.log(
      `${event.type} at ${event.position} failed ${attempts} times: ${cause?.message ?? "waits behind another"}`,
    );
    await state.setRetryDeadEvent("types-v1", event.position, true);
  }
  return state.consumeDeadEventsForProjector("types-v1", "Types", count);
}

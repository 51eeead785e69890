import { type Position, type RecordedEvent, START, type Store } from "@tidemark/core";

/** All events of accounts, in pages of 100, from the beginning of the log. */
export async function* allAccountEvents<Tx>(store: Store<Tx>): AsyncGenerator<RecordedEvent> {
  const scope = { contexts: ["banking"], aggregateTypes: ["account"] };
  let after: Position = START;
  for (;;) {
    const { events, next } = await store.readAll({ after, limit: 100, scope });
    yield* events;
    if (next === after) return; // nothing new: `after` is the head
    after = next;
  }
}

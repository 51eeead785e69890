import type { RecordedEvent, Snapshot } from "@tidemark/core";
import type { Accounts } from "./open.ts";

/** The events of one month, one after the other, however many there are. */
export async function* statement(accounts: Accounts, id: string, from: Date, to: Date): AsyncGenerator<RecordedEvent> {
  yield* accounts.events.getEventStreamFor(id, { since: from, until: to, filter: ({ type }) => type !== "opened" });
}

/** The snapshot to begin with if one wants the state as it was after an event. */
export async function snapshotBefore({ actors }: Accounts, id: string, eventId: string): Promise<Snapshot | undefined> {
  return actors.fetchByLastEventId({ systemId: id }, eventId);
}

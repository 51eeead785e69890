import { FERRY, type Office, SYSTEM_ID } from "./office.ts";

export interface Sent {
  readonly events: number;
  readonly snapshots: number;
}

/**
 * Sends what the other office does not have. Sending again changes nothing: events by their ids, snapshots by vectors.
 *
 * The other one first makes a snapshot of what happened there since its last one, however little that is: hidden behind a
 * snapshot that comes in, and in none itself, it would be in the log for good, and in no state.
 */
export async function send(from: Office, to: Office): Promise<Sent> {
  await to.keep();
  const known = new Set((await to.events.getEventsFor(SYSTEM_ID)).map(({ id }) => id));
  const events = (await from.events.getEventsFor(SYSTEM_ID)).filter(({ id }) => !known.has(id));
  await to.events.storeEvents(SYSTEM_ID, events);

  let snapshots = 0;
  for await (const { vector } of from.actors.links(FERRY)) {
    const snapshot = await from.actors.fetchByVector(FERRY, vector);
    if (snapshot === undefined) continue;
    const isKnown = (await to.actors.fetchByVector(FERRY, vector)) !== undefined;
    // One that is known as well: another state with its vector would be refused, and must not go unnoticed.
    await to.actors.store(FERRY, snapshot.snapshotId, vector, snapshot.state);
    if (isKnown) continue;
    const pack = await from.events.getEventPackFor(SYSTEM_ID, vector);
    if (pack !== undefined) await to.events.storeEventPack(SYSTEM_ID, vector, pack);
    snapshots += 1;
  }
  return { events: events.length, snapshots };
}

import { type ActorRef, compareBytes, type SnapshotRow } from "@tidemark/core/spi";
import type { Order } from "./sorted-rows.ts";

/** A row of `snapshots`. */
export interface SnapshotRecord extends SnapshotRow {
  readonly actor: ActorRef;
  readonly isHead: boolean;
}

/** The key of no row: who stores a snapshot of the actor locks it. By it the actor's snapshots are found in their orders. */
export function actorKey({ type, systemId }: ActorRef): string {
  return `${type}\0${systemId}`;
}

/** The snapshots of an actor by their vectors. */
export const byVector: Order<SnapshotRecord> = {
  group: ({ actor }) => actorKey(actor),
  compare: (a, b) => compareBytes(a.vector, b.vector),
};

/** Those that have a last event, by that; then by version. */
export const byEvent: Order<SnapshotRecord> = {
  group: ({ actor, lastEventId }) => (lastEventId === undefined ? undefined : actorKey(actor)),
  compare: compareEvents,
};

/** Those whose last event has a time, by that; then as by event. */
export const byTime: Order<SnapshotRecord> = {
  group: ({ actor, lastEventAt }) => (lastEventAt === undefined ? undefined : actorKey(actor)),
  compare: (a, b) => (a.lastEventAt ?? 0) - (b.lastEventAt ?? 0) || compareEvents(a, b),
};

/** No id sorts before all ids. */
function compareEvents(a: SnapshotRecord, b: SnapshotRecord): number {
  const byId = compareBytes(a.lastEventId ?? "", b.lastEventId ?? "");
  return byId || a.version - b.version || byVector.compare(a, b);
}

import type { Operation } from "./operation.ts";

/** An actor as its records are kept: by its type and its system id, which never changes. */
export interface ActorRef {
  readonly type: string;
  readonly systemId: string;
}

/** A snapshot of an actor, as it is written. Within its actor it is known by its vector. */
export interface SnapshotRow {
  /** The vector clock in canonical form: `"a:1;b:2"`, ascending by node, no zeros. May be empty. */
  readonly vector: string;
  readonly snapshotId: string;
  /** The sum of the vector's counters. */
  readonly version: number;
  /**
   * The vector of the snapshot that this one was made from; undefined, or the empty vector where that was said, for one
   * that was made from none. The two are not the same to whoever reads it.
   */
  readonly ancestor: string | undefined;
  /** The last event that is in it; undefined where there is none. Ids compare by bytes. */
  readonly lastEventId: string | undefined;
  /** When that was applied or happened, in milliseconds since 1970. */
  readonly lastEventAt: number | undefined;
  /** JSON text. */
  readonly state: string;
}

/** A snapshot as links know it: where it is, and where it came from. */
export interface SnapshotLink {
  readonly vector: string;
  readonly ancestor: string | undefined;
}

/** What an actor has when a snapshot is about to be stored, read under the lock on the actor. */
export interface SnapshotState {
  /** The stored snapshot with the vector that is to be stored; undefined when there is none. */
  readonly stored: SnapshotRow | undefined;
  /** The vectors of all heads, ascending by bytes. A head is a snapshot whose vector no other one's dominates. */
  readonly heads: readonly string[];
}

/** What is to be written: one snapshot, and which vectors are no heads any more. */
export interface SnapshotChange {
  readonly row: SnapshotRow;
  readonly isHead: boolean;
  /** Heads that the new snapshot dominates. */
  readonly dominated: readonly string[];
}

/** Reading snapshots. Actors, vectors and ids compare by bytes. */
export interface SnapshotReader {
  /** The heads, ascending by vector. Reads no other rows, however long the history is. */
  heads(actor: ActorRef, op: Operation): Promise<readonly SnapshotRow[]>;
  get(actor: ActorRef, vector: string, op: Operation): Promise<SnapshotRow | undefined>;
  /**
   * Follows ancestors from the snapshot with this vector: its link first, then its ancestor's, at most `limit` links, in
   * one round trip. Ends at a snapshot without an ancestor and where the ancestor is not stored; in a circle it may go
   * round. Empty when there is no such snapshot.
   */
  chain(actor: ActorRef, vector: string, limit: number, op: Operation): Promise<readonly SnapshotLink[]>;
  /** Links of all snapshots, ascending by vector, after `after`. */
  links(actor: ActorRef, after: string | undefined, limit: number, op: Operation): Promise<readonly SnapshotLink[]>;
  /**
   * The snapshot with the greatest `lastEventId` at or below `eventId`; of several the one of the highest version, then
   * of the greatest vector. One indexed look-up.
   */
  atEvent(actor: ActorRef, eventId: string, op: Operation): Promise<SnapshotRow | undefined>;
  /**
   * The same by `lastEventAt`; of several of one moment the one of the greatest `lastEventId`, where none is less than
   * any, then as above.
   */
  atTime(actor: ActorRef, time: number, op: Operation): Promise<SnapshotRow | undefined>;
}

/** Snapshots inside a transaction, and outside, where each call is one. Reads see own writes. */
export interface SnapshotPort extends SnapshotReader {
  /**
   * Locks the actor, reads what it has, asks `decide`, and writes what that returns; nothing for undefined. Two that are
   * stored at once are stored one after the other. What `decide` throws is thrown, with nothing written. Decides again
   * when the transaction had to be begun again.
   */
  store(
    actor: ActorRef,
    vector: string,
    decide: (state: SnapshotState) => SnapshotChange | undefined,
    op: Operation,
  ): Promise<void>;
}

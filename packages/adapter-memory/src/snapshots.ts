import {
  type ActorRef,
  compareBytes,
  type Operation,
  type SnapshotLink,
  type SnapshotPort,
  type SnapshotReader,
  type SnapshotRow,
  throwIfAborted,
} from "@tidemark/core/spi";
import { type Database, headTerm, snapshotRowKey } from "./database.ts";
import { actorKey, byEvent, byTime, byVector, type SnapshotRecord } from "./snapshot-record.ts";
import type { Transaction } from "./memory-transaction.ts";
import { transact } from "./transaction.ts";

export function createSnapshotRecords(database: Database): SnapshotPort {
  return {
    ...createSnapshotReader(database),

    store: (actor, vector, decide, op) =>
      transact(database, op, (transaction) =>
        createSnapshotPort(database, transaction).store(actor, vector, decide, op),
      ),
  };
}

export function createSnapshotPort(database: Database, transaction: Transaction): SnapshotPort {
  const { snapshots } = database;

  /** Who has the actor locked finds its snapshots unlocked. */
  function set(record: SnapshotRecord): void {
    const rowKey = snapshotRowKey(record.actor, record.vector);
    transaction.tryLock(snapshots, rowKey);
    snapshots.set(rowKey, record, transaction);
  }

  return {
    ...createSnapshotReader(database, transaction),

    store: async (actor, vector, decide, op) => {
      await transaction.lock(snapshots, actorKey(actor), op);
      const stored = snapshots.get(snapshotRowKey(actor, vector), transaction);
      const heads = headsOf(database, actor, transaction);
      const change = decide({
        stored: stored === undefined ? undefined : toRow(stored),
        heads: heads.map((head) => head.vector),
      });
      if (change === undefined) return;
      const dominated = new Set(change.dominated);
      for (const head of heads) if (dominated.has(head.vector)) set({ ...head, isHead: false });
      set({ ...toRow(change.row), actor: { ...actor }, isHead: change.isHead });
    },
  };
}

/** Snapshots as they are committed, or as the transaction sees them. */
function createSnapshotReader(database: Database, transaction?: Transaction): SnapshotReader {
  const { snapshots } = database;
  const check = (op: Operation): void => {
    throwIfAborted(op.signal);
    transaction?.check();
  };
  return {
    heads: async (actor, op) => {
      check(op);
      return headsOf(database, actor, transaction).map(toRow);
    },

    get: async (actor, vector, op) => {
      check(op);
      const record = snapshots.get(snapshotRowKey(actor, vector), transaction);
      return record === undefined ? undefined : toRow(record);
    },

    chain: async (actor, vector, limit, op) => {
      check(op);
      const links: SnapshotLink[] = [];
      for (let next: string | undefined = vector; next !== undefined && links.length < limit;) {
        const record: SnapshotRecord | undefined = snapshots.get(snapshotRowKey(actor, next), transaction);
        if (record === undefined) break;
        links.push(toLink(record));
        next = record.ancestor;
      }
      return links;
    },

    links: async (actor, after, limit, op) => {
      check(op);
      const isRead = ({ vector }: SnapshotRecord): boolean => after !== undefined && compareBytes(vector, after) <= 0;
      const links: SnapshotLink[] = [];
      for (const record of snapshots.upward(byVector, actorKey(actor), isRead, transaction)) {
        if (links.length === limit) break;
        links.push(toLink(record));
      }
      return links;
    },

    atEvent: async (actor, eventId, op) => {
      check(op);
      const isAtOrBelow = ({ lastEventId = "" }: SnapshotRecord): boolean => compareBytes(lastEventId, eventId) <= 0;
      return nearest(snapshots.downward(byEvent, actorKey(actor), isAtOrBelow, transaction));
    },

    atTime: async (actor, time, op) => {
      check(op);
      const isAtOrBefore = ({ lastEventAt = 0 }: SnapshotRecord): boolean => lastEventAt <= time;
      return nearest(snapshots.downward(byTime, actorKey(actor), isAtOrBefore, transaction));
    },
  };
}

function headsOf({ snapshots }: Database, actor: ActorRef, transaction?: Transaction): readonly SnapshotRecord[] {
  return [...snapshots.find(headTerm(actor), transaction)].toSorted(byVector.compare);
}

function nearest(records: Iterable<SnapshotRecord>): SnapshotRow | undefined {
  for (const record of records) return toRow(record);
  return undefined;
}

/** A copy: what the caller does to it changes nothing that is stored. */
function toRow(row: SnapshotRow): SnapshotRow {
  const { vector, snapshotId, version, ancestor, lastEventId, lastEventAt, state } = row;
  return { vector, snapshotId, version, ancestor, lastEventId, lastEventAt, state };
}

function toLink({ vector, ancestor }: SnapshotRecord): SnapshotLink {
  return { vector, ancestor };
}

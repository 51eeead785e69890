import type { Operation, SegmentKey, ZoneRecords } from "@tidemark/core/spi";
import { type Database, type SegmentRecord, segmentRowKey } from "./database.ts";
import { transact } from "./transaction.ts";

export function createZoneRecords(database: Database): ZoneRecords {
  const { segments } = database;

  /** Changes the segment's row if `token` is current. */
  function changeWhileCurrent(
    key: SegmentKey,
    token: bigint,
    change: (row: SegmentRecord) => SegmentRecord,
    op: Operation,
  ): Promise<boolean> {
    return transact(database, op, async (transaction) => {
      const rowKey = segmentRowKey(key);
      await transaction.lock(segments, rowKey, op);
      const row = segments.get(rowKey, transaction);
      if (row?.token !== token) return false;
      segments.set(rowKey, change(row), transaction);
      return true;
    });
  }

  return {
    enter: (key, lease, op) =>
      transact(database, op, async (transaction) => {
        const rowKey = segmentRowKey(key);
        // Locked by a transaction that has fenced and is about to commit: its holder is at work.
        if (!transaction.tryLock(segments, rowKey)) return { kind: "busy" };
        const row = segments.get(rowKey, transaction);
        if (row?.position === undefined) return { kind: "unknown" };
        const now = database.now();
        if (row.expiresAt > now) return { kind: "busy" };
        const token = database.nextToken();
        segments.set(rowKey, { ...row, owner: lease.owner, token, expiresAt: now + lease.ms }, transaction);
        return { kind: "entered", token, position: row.position };
      }),

    renew: (key, token, leaseMs, op) =>
      changeWhileCurrent(key, token, (row) => ({ ...row, expiresAt: database.now() + leaseMs }), op),

    leave: async (key, token, op) => {
      // With a new token, a renewal or a commit that is still on its way cannot bring the lease back.
      const free = (row: SegmentRecord): SegmentRecord => ({
        ...row,
        owner: undefined,
        token: database.nextToken(),
        expiresAt: 0,
      });
      await changeWhileCurrent(key, token, free, op);
    },
  };
}

import { type ConsumerKey, type Position, START } from "@tidemark/core";
import type { ConsumerRecords, Operation } from "@tidemark/core/spi";
import { copyCompletions, removeCompletions } from "./completions.ts";
import { lockDeclared, lockWithSegments, segmentKeys, segmentRows } from "./consumers.ts";
import { consumerRowKey, type Database, type SegmentRecord, segmentRowKey } from "./database.ts";
import { transact } from "./transaction.ts";

/** How a consumer gets another number of segments. */
export function createLayoutRecords(database: Database): Pick<ConsumerRecords, "requestLayout" | "applyLayout"> {
  const { consumers, segments } = database;
  return {
    requestLayout: (key, layout, op) =>
      transact(database, op, async (transaction) => {
        const record = await lockDeclared(database, key, transaction, op);
        if (record === undefined) return "unknown";
        if (layout !== undefined && record.layout !== undefined) {
          return record.layout.segments === layout.segments ? "done" : "other";
        }
        const requested = layout && { segments: layout.segments, position: layout.position };
        consumers.set(consumerRowKey(key), { ...record, layout: requested }, transaction);
        return "done";
      }),

    applyLayout: (key: ConsumerKey, op: Operation) =>
      transact(database, op, async (transaction) => {
        const record = await lockWithSegments(database, key, transaction, op);
        if (record?.kind === undefined) return "unknown";
        const { layout } = record;
        if (layout === undefined) return "none";
        const rows = segmentRows(database, record, transaction);
        const furthest = rows.reduce((most, { row }) => max(most, row.position ?? START), layout.position);
        if (furthest > layout.position) {
          consumers.set(consumerRowKey(key), { ...record, layout: { ...layout, position: furthest } }, transaction);
        }
        if (rows.some(({ row }) => row.position !== furthest)) return "not-drained";
        const now = database.now();
        if (rows.some(({ row }) => row.expiresAt > now)) return "held";

        const committed = rows.flatMap(({ row }) => row.committedAt ?? []);
        const next = { ...record, generation: record.generation + 1, segments: layout.segments, layout: undefined };
        consumers.set(consumerRowKey(key), next, transaction);
        for (const { rowKey } of rows) segments.set(rowKey, undefined, transaction);
        for (const segmentKey of segmentKeys(next)) {
          const row: SegmentRecord = {
            position: furthest,
            committedAt: committed.length === 0 ? undefined : Math.max(...committed),
            owner: undefined,
            token: database.nextToken(),
            expiresAt: 0,
            error: undefined,
          };
          await transaction.lock(segments, segmentRowKey(segmentKey), op);
          segments.set(segmentRowKey(segmentKey), row, transaction);
        }
        const completed = await removeCompletions(database, key, transaction, op);
        await copyCompletions(database, completed, segmentKeys(next), furthest, transaction, op);
        return "done";
      }),
  };
}

function max(a: Position, b: Position): Position {
  return a > b ? a : b;
}

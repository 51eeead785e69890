import { type ConsumerRecords, planLayout, planLayoutRequest } from "@tidemark/core/spi";
import { copyCompletions, removeCompletions } from "./completions.ts";
import { lockDeclared, lockWithSegments, segmentKeys, segmentRows, toRow } from "./consumers.ts";
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
        const plan = planLayoutRequest(toRow(database, record, transaction), layout);
        if (plan.kind === "answer") return plan.outcome;
        consumers.set(consumerRowKey(key), { ...record, layout: plan.layout }, transaction);
        return "done";
      }),

    applyLayout: (key, op) =>
      transact(database, op, async (transaction) => {
        const record = await lockWithSegments(database, key, transaction, op);
        if (record === undefined) return "unknown";
        const plan = planLayout(toRow(database, record, transaction));
        if (plan.kind === "answer") {
          const { outcome, request } = plan;
          if (request !== undefined) consumers.set(consumerRowKey(key), { ...record, layout: request }, transaction);
          return outcome;
        }

        const { generation, segments: count, position, committedAt } = plan.next;
        const next = { ...record, generation, segments: count, layout: undefined };
        consumers.set(consumerRowKey(key), next, transaction);
        for (const { rowKey } of segmentRows(database, record, transaction)) {
          segments.set(rowKey, undefined, transaction);
        }
        for (const segmentKey of segmentKeys(next)) {
          const row: SegmentRecord = {
            position,
            committedAt,
            owner: undefined,
            token: database.nextToken(),
            expiresAt: 0,
            error: undefined,
          };
          await transaction.lock(segments, segmentRowKey(segmentKey), op);
          segments.set(segmentRowKey(segmentKey), row, transaction);
        }
        const completed = await removeCompletions(database, key, transaction, op);
        await copyCompletions(database, completed, segmentKeys(next), position, transaction, op);
        return "done";
      }),
  };
}

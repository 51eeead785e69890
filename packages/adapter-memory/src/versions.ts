import { type ConsumerRecords, planPromotion } from "@tidemark/core/spi";
import { completionsOf, copyCompletions } from "./completions.ts";
import { lockName, lockWithSegments, segmentRows, toRow } from "./consumers.ts";
import { consumerRowKey, type Database } from "./database.ts";
import { transact } from "./transaction.ts";

/** How one version of a consumer takes the place of another. */
export function createVersionRecords(database: Database): Pick<ConsumerRecords, "promote"> {
  const { consumers, segments } = database;
  return {
    promote: (name, from, to, op) =>
      transact(database, op, async (transaction) => {
        await lockName(database, name, transaction, op);
        const [low, high] = [
          await lockWithSegments(database, { name, version: Math.min(from, to) }, transaction, op),
          await lockWithSegments(database, { name, version: Math.max(from, to) }, transaction, op),
        ];
        const [before, after] = from < to ? [low, high] : [high, low];
        if (before === undefined || after === undefined) return "unknown";
        const plan = planPromotion(toRow(database, before, transaction), toRow(database, after, transaction));
        if (plan.kind === "answer") return plan.outcome;

        for (const { rowKey, row } of [before, after].flatMap((record) => segmentRows(database, record, transaction))) {
          const fenced = { ...row, owner: undefined, token: database.nextToken(), expiresAt: 0 };
          segments.set(rowKey, fenced, transaction);
        }
        consumers.set(consumerRowKey(before.key), { ...before, active: false, enabled: false }, transaction);
        consumers.set(consumerRowKey(after.key), { ...after, active: true, enabled: true }, transaction);
        for (const { key, positions } of completionsOf(database, before.key, transaction)) {
          const place = { ...after.key, generation: after.generation, segment: key.segment };
          const checkpoint = plan.from.segments[key.segment]?.position;
          if (checkpoint !== undefined)
            await copyCompletions(database, positions, [place], checkpoint, transaction, op);
        }
        return "done";
      }),
  };
}

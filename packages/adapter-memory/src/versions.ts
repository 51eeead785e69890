import type { ConsumerRecords } from "@tidemark/core/spi";
import { completionsOf, copyCompletions } from "./completions.ts";
import { lockName, lockWithSegments, segmentRows, type StoredSegment } from "./consumers.ts";
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
        if (before?.kind === undefined || after?.kind === undefined) return "unknown";
        if (!before.active) return "inactive";
        const isOnItsWay = before.layout !== undefined || after.layout !== undefined;
        if (isOnItsWay || before.segments !== after.segments) return "segments";
        const [old, fresh] = [segmentRows(database, before, transaction), segmentRows(database, after, transaction)];
        if (old.some(({ row }, index) => row.position !== fresh[index]?.row.position)) return "positions";

        const fence = ({ rowKey, row }: StoredSegment): void => {
          const fenced = { ...row, owner: undefined, token: database.nextToken(), expiresAt: 0 };
          segments.set(rowKey, fenced, transaction);
        };
        for (const segment of [...old, ...fresh]) fence(segment);
        consumers.set(consumerRowKey(before.key), { ...before, active: false, enabled: false }, transaction);
        consumers.set(consumerRowKey(after.key), { ...after, active: true, enabled: true }, transaction);
        for (const { key, positions } of completionsOf(database, before.key, transaction)) {
          const place = { ...after.key, generation: after.generation, segment: key.segment };
          const checkpoint = old[key.segment]?.row.position;
          if (checkpoint !== undefined)
            await copyCompletions(database, positions, [place], checkpoint, transaction, op);
        }
        return "done";
      }),
  };
}

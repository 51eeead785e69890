import type { ConsumerKey, Position } from "@tidemark/core";
import { type CompletionPort, type Operation, type SegmentKey, throwIfAborted } from "@tidemark/core/spi";
import { type CompletionRecord, consumerRowKey, type Database, segmentRowKey } from "./database.ts";
import type { Transaction } from "./memory-transaction.ts";

export function createCompletionPort(database: Database, transaction: Transaction): CompletionPort {
  const { completions } = database;
  return {
    record: ({ name, version, generation, segment }, positions, checkpoint, op) =>
      copyCompletions(database, positions, [{ name, version, generation, segment }], checkpoint, transaction, op),

    list: async (key, op) => {
      throwIfAborted(op.signal);
      transaction.check();
      return [...(completions.get(segmentRowKey(key), transaction)?.positions ?? [])];
    },
  };
}

/** Adds `positions` to those of each of these segments, and forgets those at or below `checkpoint`. */
export async function copyCompletions(
  { completions }: Database,
  positions: readonly Position[],
  keys: readonly SegmentKey[],
  checkpoint: Position,
  transaction: Transaction,
  op: Operation,
): Promise<void> {
  for (const key of keys) {
    const rowKey = segmentRowKey(key);
    await transaction.lock(completions, rowKey, op);
    const known = completions.get(rowKey, transaction)?.positions ?? [];
    const above = [...new Set([...known, ...positions])]
      .filter((position) => position > checkpoint)
      .toSorted((a, b) => (a < b ? -1 : 1));
    completions.set(rowKey, above.length === 0 ? undefined : { key, positions: above }, transaction);
  }
}

/** The completions of a consumer, segment by segment. */
export function completionsOf(
  { completions }: Database,
  consumer: ConsumerKey,
  transaction: Transaction,
): readonly CompletionRecord[] {
  return [...completions.find(consumerRowKey(consumer), transaction)];
}

/** Forgets all completions of a consumer, and tells which there were. */
export async function removeCompletions(
  database: Database,
  consumer: ConsumerKey,
  transaction: Transaction,
  op: Operation,
): Promise<readonly Position[]> {
  const { completions } = database;
  const removed: Position[] = [];
  for (const { key } of completionsOf(database, consumer, transaction)) {
    await transaction.lock(completions, segmentRowKey(key), op);
    removed.push(...(completions.get(segmentRowKey(key), transaction)?.positions ?? []));
    completions.set(segmentRowKey(key), undefined, transaction);
  }
  return removed;
}

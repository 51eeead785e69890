import type { ConsumerKey } from "@tidemark/core";
import { type CompletionPort, type Operation, throwIfAborted } from "@tidemark/core/spi";
import { consumerRowKey, type Database, segmentRowKey } from "./database.ts";
import type { Transaction } from "./memory-transaction.ts";

export function createCompletionPort({ completions }: Database, transaction: Transaction): CompletionPort {
  return {
    record: async ({ name, version, generation, segment }, positions, checkpoint, op) => {
      const key = { name, version, generation, segment };
      const rowKey = segmentRowKey(key);
      await transaction.lock(completions, rowKey, op);
      const known = completions.get(rowKey, transaction)?.positions ?? [];
      const above = [...new Set([...known, ...positions])]
        .filter((position) => position > checkpoint)
        .toSorted((a, b) => (a < b ? -1 : 1));
      completions.set(rowKey, above.length === 0 ? undefined : { key, positions: above }, transaction);
    },

    list: async (key, op) => {
      throwIfAborted(op.signal);
      transaction.check();
      return [...(completions.get(segmentRowKey(key), transaction)?.positions ?? [])];
    },
  };
}

/** Forgets all completions of a consumer. */
export async function removeCompletions(
  { completions }: Database,
  consumer: ConsumerKey,
  transaction: Transaction,
  op: Operation,
): Promise<void> {
  for (const { key } of [...completions.find(consumerRowKey(consumer), transaction)]) {
    await transaction.lock(completions, segmentRowKey(key), op);
    completions.set(segmentRowKey(key), undefined, transaction);
  }
}

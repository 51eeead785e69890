import {
  compareBytes,
  type DeadlinePort,
  type DeadlineReader,
  type DeadlineRow,
  type Operation,
  throwIfAborted,
} from "@tidemark/core/spi";
import { type Database, type DeadlineRecord, deadlineRowKey, sagaRowKey } from "./database.ts";
import type { Transaction } from "./memory-transaction.ts";

/** Deadlines as they are committed, or as the transaction sees them. */
export function createDeadlineReader(database: Database, transaction?: Transaction): DeadlineReader {
  const { deadlines } = database;
  return {
    due: async (saga, limit, op) => {
      throwIfAborted(op.signal);
      transaction?.check();
      const now = database.now();
      return [...deadlines.find(saga, transaction)]
        .filter(({ dueAt }) => dueAt <= now)
        .toSorted(byMoment)
        .slice(0, limit)
        .map(toRow);
    },
  };
}

export function createDeadlinePort(database: Database, transaction: Transaction): DeadlinePort {
  const { deadlines } = database;
  return {
    ...createDeadlineReader(database, transaction),

    set: async (saga, { sagaId, name, dueAt, data }, op) => {
      const rowKey = deadlineRowKey(saga, sagaId, name);
      await transaction.lock(deadlines, rowKey, op);
      deadlines.set(rowKey, { saga, sagaId, name, dueAt, data }, transaction);
    },

    remove: async (saga, sagaId, name, op) => {
      const rowKey = deadlineRowKey(saga, sagaId, name);
      await transaction.lock(deadlines, rowKey, op);
      if (deadlines.get(rowKey, transaction) === undefined) return false;
      deadlines.set(rowKey, undefined, transaction);
      return true;
    },
  };
}

/** Locks all deadlines of one saga. Returns the keys of their rows. */
export async function lockDeadlines(
  { deadlines }: Database,
  saga: string,
  sagaId: string,
  transaction: Transaction,
  op: Operation,
): Promise<readonly string[]> {
  const rowKeys = [...deadlines.find(sagaRowKey(saga, sagaId), transaction)].map(({ name }) =>
    deadlineRowKey(saga, sagaId, name),
  );
  for (const rowKey of rowKeys) await transaction.lock(deadlines, rowKey, op);
  return rowKeys;
}

function byMoment(a: DeadlineRecord, b: DeadlineRecord): number {
  return a.dueAt - b.dueAt || compareBytes(a.sagaId, b.sagaId) || compareBytes(a.name, b.name);
}

function toRow({ sagaId, name, dueAt, data }: DeadlineRecord): DeadlineRow {
  return { sagaId, name, dueAt, data };
}

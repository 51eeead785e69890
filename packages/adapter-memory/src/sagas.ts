import {
  compareBytes,
  type Operation,
  type SagaPort,
  type SagaReader,
  type SagaRow,
  throwIfAborted,
} from "@tidemark/core/spi";
import { associationTerm, type Database, type SagaRecord, sagaRowKey } from "./database.ts";
import { lockDeadlines } from "./deadlines.ts";
import type { Transaction } from "./memory-transaction.ts";

/** Sagas as they are committed, or as the transaction sees them. */
export function createSagaReader(database: Database, transaction?: Transaction): SagaReader {
  const { sagas } = database;
  const check = (op: Operation): void => {
    throwIfAborted(op.signal);
    transaction?.check();
  };
  return {
    get: async (saga, id, op) => {
      check(op);
      const record = sagas.get(sagaRowKey(saga, id), transaction);
      return record === undefined ? undefined : toRow(record);
    },

    find: async (saga, association, op) => {
      check(op);
      return [...sagas.find(associationTerm(saga, association), transaction)].toSorted(byId).map(toRow);
    },

    list: async (saga, after, limit, op) => {
      check(op);
      return [...sagas.find(saga, transaction)]
        .filter(({ id }) => after === undefined || compareBytes(id, after) > 0)
        .toSorted(byId)
        .slice(0, limit)
        .map(toRow);
    },
  };
}

export function createSagaPort(database: Database, transaction: Transaction): SagaPort {
  const { sagas, deadlines } = database;
  return {
    ...createSagaReader(database, transaction),

    insert: async (saga, row, op) => {
      const rowKey = sagaRowKey(saga, row.id);
      await transaction.lock(sagas, rowKey, op);
      if (sagas.get(rowKey, transaction) !== undefined) return false;
      sagas.set(rowKey, toRecord(saga, row, 1), transaction);
      return true;
    },

    update: async (saga, row, op) => {
      const rowKey = sagaRowKey(saga, row.id);
      await transaction.lock(sagas, rowKey, op);
      if (sagas.get(rowKey, transaction)?.version !== row.version) return false;
      sagas.set(rowKey, toRecord(saga, row, row.version + 1), transaction);
      return true;
    },

    remove: async (saga, id, version, op) => {
      const rowKey = sagaRowKey(saga, id);
      await transaction.lock(sagas, rowKey, op);
      if (sagas.get(rowKey, transaction)?.version !== version) return false;
      const deadlineKeys = await lockDeadlines(database, saga, id, transaction, op);
      sagas.set(rowKey, undefined, transaction);
      for (const deadlineKey of deadlineKeys) deadlines.set(deadlineKey, undefined, transaction);
      return true;
    },
  };
}

function byId(a: SagaRecord, b: SagaRecord): number {
  return compareBytes(a.id, b.id);
}

function toRecord(saga: string, { id, associations, data }: Omit<SagaRow, "version">, version: number): SagaRecord {
  const sorted = associations
    .map(({ property, value }) => ({ property, value }))
    .toSorted((a, b) => compareBytes(a.property, b.property));
  return { saga, id, version, associations: sorted, data };
}

/** A copy: what the caller does to it changes nothing that is stored. */
function toRow({ id, version, associations, data }: SagaRecord): SagaRow {
  return { id, version, associations: associations.map((association) => ({ ...association })), data };
}

import { type PackPort, throwIfAborted } from "@tidemark/core/spi";
import { type Database, snapshotRowKey } from "./database.ts";
import type { Transaction } from "./memory-transaction.ts";
import { transact } from "./transaction.ts";

export function createPackRecords(database: Database): PackPort {
  return {
    ...createPackReader(database),

    store: (actor, vector, events, op) =>
      transact(database, op, (transaction) => createPackPort(database, transaction).store(actor, vector, events, op)),
  };
}

export function createPackPort(database: Database, transaction: Transaction): PackPort {
  const { packs } = database;
  return {
    ...createPackReader(database, transaction),

    store: async (actor, vector, events, op) => {
      const rowKey = snapshotRowKey(actor, vector);
      await transaction.lock(packs, rowKey, op);
      packs.set(rowKey, events, transaction);
    },
  };
}

/** Packs as they are committed, or as the transaction sees them. */
function createPackReader({ packs }: Database, transaction?: Transaction): Pick<PackPort, "get"> {
  return {
    get: async (actor, vector, op) => {
      throwIfAborted(op.signal);
      transaction?.check();
      return packs.get(snapshotRowKey(actor, vector), transaction);
    },
  };
}

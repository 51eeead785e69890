import { openStore, type Store, type StoreInTransaction, type StoreOptions } from "@tidemark/core";
import { createMysqlAdapter, type MysqlConnection } from "./adapter.ts";
import type { Queryable } from "./connection.ts";
import type { MysqlOptions } from "./options.ts";

/**
 * What handlers and the work of `store.transaction` are lent: `query` and `execute` of a connection of `mysql2/promise`
 * with an open transaction.
 */
export type MysqlTransaction = Queryable;

/** A store whose transactions run on connections of mysql2. */
export interface MysqlStore extends Store<MysqlTransaction> {
  /** The port to a transaction on a connection of mysql2, with promises or with callbacks. */
  within(tx: MysqlConnection): StoreInTransaction;
}

/**
 * Opens a store on MySQL or MariaDB, on a pool of its own or on yours. Brings the tables up to date unless `schema` is
 * `"check"`. Errors: SCHEMA_MISMATCH, UNAVAILABLE, UNUSABLE, BUSY, INVALID_ARGUMENT.
 */
export async function createMysqlStore(options: MysqlOptions & StoreOptions): Promise<MysqlStore> {
  return openStore<MysqlTransaction>(createMysqlAdapter(options), options);
}

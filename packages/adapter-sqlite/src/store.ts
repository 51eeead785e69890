import { openStore, type Store, type StoreOptions } from "@tidemark/core";
import type { Database } from "better-sqlite3";
import { createSqliteAdapter } from "./adapter.ts";
import type { SqliteOptions } from "./options.ts";

/**
 * What handlers and the work of `store.transaction` are lent, and what `store.within` takes: a better-sqlite3 database
 * with an open transaction.
 */
export type SqliteTransaction = Database;

/** A store whose transactions run on a better-sqlite3 database. */
export type SqliteStore = Store<SqliteTransaction>;

/**
 * Opens a store in a SQLite file, in memory, or beside a better-sqlite3 database of yours. Brings the schema up to
 * date unless `schema` is `"check"`. Errors: SCHEMA_MISMATCH, UNAVAILABLE, BUSY, INVALID_ARGUMENT.
 */
export async function createSqliteStore(options: SqliteOptions & StoreOptions): Promise<SqliteStore> {
  return openStore(createSqliteAdapter(options), options);
}

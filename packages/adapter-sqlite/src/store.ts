import { openStore, type Store, type StoreOptions } from "@tidemark/core";
import type { Database } from "better-sqlite3";
import { createSqliteAdapter } from "./adapter.ts";
import type { SqliteOptions } from "./options.ts";

/** A store whose transactions run on a better-sqlite3 database. */
export type SqliteStore = Store<Database>;

/**
 * Opens a store in a SQLite file, in memory, or beside a better-sqlite3 database of yours. Brings the schema up to
 * date unless `schema` is `"check"`. Errors: SCHEMA_MISMATCH, UNAVAILABLE, BUSY, INVALID_ARGUMENT.
 */
export async function createSqliteStore(options: SqliteOptions & StoreOptions): Promise<SqliteStore> {
  return openStore(createSqliteAdapter(options), options);
}

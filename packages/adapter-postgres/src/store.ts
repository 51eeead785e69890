import { openStore, type Store, type StoreOptions } from "@tidemark/core";
import { createPostgresAdapter } from "./adapter.ts";
import type { Queryable } from "./connection.ts";
import type { PostgresOptions } from "./options.ts";

/**
 * What handlers and the work of `store.transaction` are lent, and what `store.within` takes: the `query` of a pg client
 * with an open transaction.
 */
export type PostgresTransaction = Queryable;

/** A store whose transactions run on clients of pg. */
export type PostgresStore = Store<PostgresTransaction>;

/**
 * Opens a store on PostgreSQL, on a pool of its own or on yours. Brings the schema up to date unless `schema` is
 * `"check"`. Errors: SCHEMA_MISMATCH, UNAVAILABLE, UNUSABLE, BUSY, INVALID_ARGUMENT.
 */
export async function createPostgresStore(options: PostgresOptions & StoreOptions): Promise<PostgresStore> {
  return openStore(createPostgresAdapter(options), options);
}

import type { StoreOptions } from "@tidemark/core";
import { createMemoryDatabase, Database, type MemoryDatabase, type MemoryDatabaseOptions } from "./database.ts";
import { invalidArgument } from "./errors.ts";

export interface MemoryAdapterOptions extends MemoryDatabaseOptions {
  /** A database to share with other stores, which brings its clock with it. Default: a new one. */
  readonly database?: MemoryDatabase | undefined;
}

export interface MemoryStoreOptions extends MemoryAdapterOptions, StoreOptions {}

export interface ResolvedMemoryOptions {
  readonly database: Database;
}

export function resolveMemoryOptions(options: MemoryAdapterOptions): ResolvedMemoryOptions {
  const { database = createMemoryDatabase({ clock: options.clock }) } = options;
  if (!(database instanceof Database)) {
    throw invalidArgument("database", "database is what createMemoryDatabase() returned.");
  }
  if (options.database !== undefined && options.clock !== undefined) {
    throw invalidArgument("clock", "A database has its own clock: give the clock to createMemoryDatabase instead.");
  }
  return Object.freeze({ database });
}

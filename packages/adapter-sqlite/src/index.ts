export { createSqliteAdapter } from "./adapter.ts";
export { sqliteCapabilities, sqliteMemoryCapabilities } from "./capabilities.ts";
export type { SqliteLocation, SqliteOptions } from "./options.ts";
export { createSqliteStore, type SqliteStore, type SqliteTransaction } from "./store.ts";

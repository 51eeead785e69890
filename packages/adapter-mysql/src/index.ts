export { createMysqlAdapter, type MysqlAdapter, type MysqlConnection } from "./adapter.ts";
export { mysqlCapabilities, mysqlCounterCapabilities } from "./capabilities.ts";
export { type GrantOptions, mysqlGrants } from "./grants.ts";
export { type MigrationOptions, mysqlMigrations } from "./migrations.ts";
export type { MysqlLocation, MysqlOptions, Ordering } from "./options.ts";
export { createMysqlStore, type MysqlStore, type MysqlTransaction } from "./store.ts";

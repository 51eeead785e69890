export { createPostgresAdapter } from "./adapter.ts";
export { postgresCapabilities, postgresCounterCapabilities, postgresNotifyCapabilities } from "./capabilities.ts";
export { type GrantOptions, postgresGrants } from "./grants.ts";
export { type MigrationOptions, postgresMigrations } from "./migrations.ts";
export type { Ordering, PostgresLocation, PostgresOptions } from "./options.ts";
export { createPostgresStore, type PostgresStore, type PostgresTransaction } from "./store.ts";

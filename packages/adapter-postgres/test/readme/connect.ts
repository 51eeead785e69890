import { readFileSync } from "node:fs";
import { createPostgresStore, type PostgresStore } from "@tidemark/adapter-postgres";
import type { Pool } from "pg";

/** With TLS that checks the server's certificate and name. The store closes the pool that it makes of this. */
export function openWithTls(host: string, password: string, caFile: string): Promise<PostgresStore> {
  const ssl = { ca: readFileSync(caFile, "utf8") };
  return createPostgresStore({ connection: { host, database: "shop", user: "shop", password, ssl, max: 20 } });
}

/** On the pool that your application has already. It stays yours: close it after the store. */
export function openOnPool(pool: Pool, log: (message: string) => void): Promise<PostgresStore> {
  pool.on("error", (error) => log(`An idle connection was lost: ${error.message}`)); // unheard, it ends the process
  return createPostgresStore({ pool });
}

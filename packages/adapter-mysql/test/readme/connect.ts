import { readFileSync } from "node:fs";
import { createMysqlStore, type MysqlStore } from "@tidemark/adapter-mysql";
import type { Pool } from "mysql2/promise";

/** With TLS that checks the server's certificate and name. The store closes the pool that it makes of this. */
export function openWithTls(host: string, password: string, caFile: string): Promise<MysqlStore> {
  const ssl = { ca: readFileSync(caFile, "utf8"), verifyIdentity: true };
  return createMysqlStore({ connection: { host, database: "shop", user: "shop", password, ssl, connectionLimit: 20 } });
}

/** On the pool that your application has already. It stays yours: close it after the store. */
export function openOnPool(pool: Pool): Promise<MysqlStore> {
  return createMysqlStore({ pool });
}

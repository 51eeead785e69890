// How the tests speak with MySQL and MariaDB.
import { createConnection, type RowDataPacket } from "mysql2/promise";
import type { Dialect } from "./ways.ts";

const always = { connections: 500, charset: "utf8mb4" };

export const mysql: Dialect = {
  connect: async (url) => {
    const client = await createConnection(url);
    client.on("error", () => {});
    return {
      ask: async (sql) => (await client.query<RowDataPacket[]>(sql))[0],
      end: () => client.end(),
      ended: new Promise((resolve) => client.once("end", resolve)),
    };
  },
  settings: `
    select @@max_connections as connections, @@character_set_server as charset,
           @@innodb_flush_log_at_trx_commit as flush, @@innodb_flush_method = 'nosync' as nosync`,
  fast: { ...always, flush: 0, nosync: 1 },
  durable: { ...always, flush: 1, nosync: 0 },
  flush: "flush engine logs",
};

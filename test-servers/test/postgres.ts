// How the tests speak with PostgreSQL.
import { Client } from "pg";
import type { Dialect } from "./ways.ts";

const always = { max_connections: "300", max_prepared_transactions: "20", server_encoding: "UTF8" };

export const postgres: Dialect = {
  connect: async (url) => {
    const client = new Client(url);
    client.on("error", () => {});
    const ended = new Promise((resolve) => client.once("end", resolve));
    await client.connect();
    return {
      ask: async (sql) => (await client.query<Record<string, unknown>>(sql)).rows,
      end: () => client.end(),
      ended,
    };
  },
  settings: `
    select current_setting('max_connections') as max_connections,
           current_setting('max_prepared_transactions') as max_prepared_transactions,
           current_setting('fsync') as fsync,
           current_setting('synchronous_commit') as synchronous_commit,
           current_setting('full_page_writes') as full_page_writes,
           current_setting('server_encoding') as server_encoding`,
  fast: { ...always, fsync: "off", synchronous_commit: "off", full_page_writes: "off" },
  durable: { ...always, fsync: "on", synchronous_commit: "on", full_page_writes: "on" },
  flush: "checkpoint",
};

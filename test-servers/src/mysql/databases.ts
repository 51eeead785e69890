import type { Connection, RowDataPacket } from "mysql2/promise";
import type { Databases } from "../database.ts";
import { withClient } from "./client.ts";

export const mysqlDatabases: Databases = {
  protocols: ["mysql:", "mariadb:"],
  create: (url, name) => withClient(url, (client) => client.query(`create database ${name} character set utf8mb4`)),
  drop: (url, name) => withClient(url, (client) => dropUnderConnections(client, name)),
};

const LOCK_WAIT_TIMEOUT = "ER_LOCK_WAIT_TIMEOUT";
const NO_SUCH_THREAD = "ER_NO_SUCH_THREAD";
const ATTEMPTS = 10;

/** Whoever has a transaction on one of the tables keeps the database from being dropped. */
async function dropUnderConnections(client: Connection, name: string): Promise<void> {
  // In seconds: a connection may have come since the others were ended.
  await client.query("set session lock_wait_timeout = 1");
  for (let attempt = 1; ; attempt++) {
    await endConnections(client, name);
    try {
      await client.query(`drop database if exists ${name}`);
      return;
    } catch (error) {
      if (attempt === ATTEMPTS || codeOf(error) !== LOCK_WAIT_TIMEOUT) throw error;
    }
  }
}

interface ConnectionRow extends RowDataPacket {
  readonly Id: number;
  readonly db: string | null;
}

async function endConnections(client: Connection, name: string): Promise<void> {
  for (const id of await connectionsTo(client, name)) {
    await client.query(`kill ${id}`).catch((error: unknown) => {
      // It has ended by itself.
      if (codeOf(error) !== NO_SUCH_THREAD) throw error;
    });
  }
}

/** Not from the information schema, which on MySQL fails while any statement holds characters of four bytes. */
async function connectionsTo(client: Connection, name: string): Promise<readonly number[]> {
  const [rows] = await client.query<ConnectionRow[]>("show processlist");
  return rows.filter(({ db }) => db === name).map(({ Id }) => Id);
}

function codeOf(error: unknown): unknown {
  return typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
}

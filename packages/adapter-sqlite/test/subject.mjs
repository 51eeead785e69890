// @ts-check
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSqliteAdapter, sqliteCapabilities, sqliteMemoryCapabilities } from "@tidemark/adapter-sqlite";
import Database from "better-sqlite3";

/** @typedef {import("better-sqlite3").Database} Handle */
/** @typedef {import("@tidemark/conformance").TestDatabase<Handle>} TestDatabase */
/** @typedef {import("@tidemark/conformance").Subject<Handle>} Subject */
/** @typedef {{ file: string, prefix?: string, borrowed?: boolean }} Config */

/** @type {Subject} */
export const sqlite = {
  name: "sqlite",
  capabilities: sqliteCapabilities,
  server: false,
  create: () => createOnDisk({}),
};

/** @type {Subject} */
export const prefixed = {
  name: "sqlite, custom prefix",
  capabilities: sqliteCapabilities,
  server: false,
  create: () => createOnDisk({ prefix: "shop_" }),
};

/** @type {Subject} */
export const borrowed = {
  name: "sqlite, borrowed handle",
  capabilities: sqliteCapabilities,
  server: false,
  create: () => createOnDisk({ borrowed: true }),
};

/** @type {Subject} */
export const inMemory = {
  name: "sqlite, :memory:",
  capabilities: sqliteMemoryCapabilities,
  server: false,
  create: createInMemory,
};

/** For laws in another process. @param {Config} config @returns {TestDatabase} */
export function openDatabase(config) {
  const { file, prefix = "tidemark_", borrowed = false } = config;
  const handle = new Database(file, { timeout: 0 });
  handle.exec("create table if not exists effects (key text primary key, value text not null) strict");
  /** @type {Handle[]} */
  const opened = [handle];
  return {
    adapter: () => createSqliteAdapter(borrowed ? { database: handle, prefix } : { file, prefix }),
    borrow: async () => {
      const lent = new Database(file, { timeout: 0 });
      opened.push(lent);
      return borrow(lent, prefix);
    },
    effects: effectsOn(handle),
    begin: () => {
      const raw = new Database(file, { timeout: 0 });
      opened.push(raw);
      return begin(raw, () => raw.close());
    },
    schema: schemaOf(handle, prefix),
    process: { module: import.meta.url, config },
    drop: async () => {
      for (const open of opened) open.close();
    },
  };
}

/** @param {Omit<Config, "file">} config @returns {Promise<TestDatabase>} */
async function createOnDisk(config) {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-"));
  const file = join(folder, "test.db");
  // In WAL from the start, so that reading beside a writer is possible before the first store is opened.
  const first = new Database(file);
  first.pragma("journal_mode = wal");
  first.close();
  const database = openDatabase({ ...config, file });
  return {
    ...database,
    drop: async () => {
      await database.drop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** One handle for everything, as a database in memory has no other. @returns {Promise<TestDatabase>} */
async function createInMemory() {
  const handle = new Database(":memory:");
  handle.exec("create table effects (key text primary key, value text not null) strict");
  return {
    adapter: () => createSqliteAdapter({ database: handle }),
    borrow: async () => borrow(handle, "tidemark_"),
    effects: effectsOn(handle),
    begin: () => begin(handle, () => undefined),
    schema: schemaOf(handle, "tidemark_"),
    drop: async () => void handle.close(),
  };
}

/** @param {Handle} handle @param {string} prefix @returns {Awaited<ReturnType<TestDatabase["borrow"]>>} */
function borrow(handle, prefix) {
  return {
    adapter: createSqliteAdapter({ database: handle, prefix }),
    use: () => retry(() => handle.exec("insert or replace into effects values ('borrowed', 'used')")),
    end: async () => void handle.close(),
  };
}

/** @param {Handle} handle @returns {TestDatabase["effects"]} */
function effectsOn(handle) {
  return {
    write: async (tx, key, value) => {
      tx.prepare("insert into effects values (?, ?) on conflict (key) do update set value = excluded.value").run(
        key,
        value,
      );
    },
    read: async (key) => {
      const row = handle.prepare("select value from effects where key = ?").pluck().get(key);
      return typeof row === "string" ? row : undefined;
    },
    fail: async (tx) => void tx.prepare("insert into effects values ('fail', null)").run(),
    define: async (tx, table) => void tx.exec(`create table ${table} (key text)`),
    defined: async (table) => handle.prepare("select 1 from sqlite_schema where name = ?").get(table) !== undefined,
    end: async (tx, how) => void tx.exec(how),
  };
}

/** @param {Handle} handle @param {() => void} close @returns {ReturnType<TestDatabase["begin"]>} */
async function begin(handle, close) {
  await retry(() => handle.exec("begin immediate"));
  /** @param {string | undefined} statement */
  const end = async (statement) => {
    if (statement !== undefined) handle.exec(statement);
    else if (handle.inTransaction) handle.exec("rollback");
    close();
  };
  const savepoint = async () => {
    handle.exec("savepoint law");
    return async () => void handle.exec("rollback to law");
  };
  return {
    tx: handle,
    commit: () => end("commit"),
    rollback: () => end("rollback"),
    savepoint,
    kill: () => end(undefined),
  };
}

/** @param {Handle} handle @param {string} prefix @returns {TestDatabase["schema"]} */
function schemaOf(handle, prefix) {
  return {
    older: () =>
      retry(() =>
        handle.exec(`delete from ${prefix}migration where version = (select max(version) from ${prefix}migration)`),
      ),
    newer: () =>
      retry(() =>
        handle.exec(`insert into ${prefix}migration (version, name, applied_at)
          select max(version) + 1, 'from the future', 0 from ${prefix}migration`),
      ),
  };
}

/** Waits for the file's lock without blocking the process. @param {() => unknown} statement @returns {Promise<void>} */
async function retry(statement) {
  for (;;) {
    try {
      statement();
      return;
    } catch (error) {
      if (!(error instanceof Error) || !("code" in error) || error.code !== "SQLITE_BUSY") throw error;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

// @ts-check
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { createMysqlAdapter, mysqlCapabilities, mysqlCounterCapabilities } from "@tidemark/adapter-mysql";
import { createProxy } from "@tidemark/test-servers/proxy";
import { createConnection, createPool } from "mysql2/promise";

/** @typedef {import("@tidemark/adapter-mysql").MysqlTransaction} Tx */
/** @typedef {import("@tidemark/conformance").TestDatabase<Tx>} TestDatabase */
/** @typedef {import("@tidemark/conformance").Subject<Tx>} Subject */
/** @typedef {import("mysql2/promise").Connection} Client */
/** @typedef {import("mysql2/promise").Pool} Pool */
/** @typedef {import("mysql2/promise").RowDataPacket} Row */
/** @typedef {Partial<Pick<import("@tidemark/adapter-mysql").MysqlOptions, "ordering">>} Settings */
/** @typedef {{ url: string, name: string, prefix: string, settings: Settings, borrowed: boolean }} Config `name`: the database's */

/**
 * A subject on the server at `url`. Each law gets a database of its own there, which `end` removes in the end.
 * @param {string} name @param {string} url @param {{ settings?: Settings, borrowed?: boolean, prefix?: string, reuses?: boolean }} [options]
 * prefix: of the tables; reuses: whether a law may get a database that another one has left
 * @returns {Subject & { end(): Promise<void> }}
 */
export function createSubject(name, url, options = {}) {
  const { settings = {}, borrowed = false, prefix = "tidemark_", reuses = true } = options;
  const capabilities = settings.ordering === "counter" ? mysqlCounterCapabilities : mysqlCapabilities;
  /** Databases that laws have left as they found them: made once, used by many. @type {string[]} */
  const swept = [];
  const create = async () => {
    const database = swept.pop() ?? (await makeDatabase(url, `tidemark_${randomBytes(8).toString("hex")}`));
    const reuse = reuses ? (/** @type {string} */ left) => swept.push(left) : undefined;
    return openDatabase({ url, name: database, prefix, settings, borrowed }, reuse);
  };
  const end = async () => {
    const admin = openPool({ uri: url, connectionLimit: 2 });
    for (const left of swept.splice(0)) await dropDatabase(admin, left);
    await admin.end();
  };
  return { name, capabilities, server: true, create, end };
}

/** @param {string} url @param {string} name */
async function makeDatabase(url, name) {
  const admin = await connect(url);
  await admin.query(`create database ${name} character set utf8mb4 collate utf8mb4_bin`);
  await admin.query(`create table ${effectsOf(name)} (name varchar(200) primary key, value longtext not null)`);
  await admin.end();
  return name;
}

/**
 * For laws in another process as well. `reuse` takes the database when it is as good as new.
 * @param {Config} config @param {(name: string) => unknown} [reuse] @returns {TestDatabase}
 */
export function openDatabase(config, reuse) {
  const { name, prefix, settings, borrowed } = config;
  const url = urlOf(config.url, name);
  // Not in the database: whoever is connected to it there is somebody that a law has left behind.
  const admin = openPool({ uri: config.url, connectionLimit: 2, multipleStatements: true });
  /** @type {(() => Promise<unknown>)[]} */
  const endings = [];
  /** @type {Set<Client>} */
  const raw = new Set();
  /** @type {Client[]} */
  const idle = [];
  let isNew = true;
  /** @param {number} connectionLimit @param {string} [at] */
  const lend = (connectionLimit, at = url) => {
    const pool = openPool({ uri: at, connectionLimit });
    const end = endOnce(pool);
    endings.push(end);
    return { pool, end };
  };
  /** @param {string} at @param {import("@tidemark/conformance").AdapterOptions} [options] */
  const adapterAt = (at, { connections = POOL, waitMs } = {}) => {
    const others = { database: name, prefix, waitMs, ...settings };
    if (borrowed) return createMysqlAdapter({ pool: lend(connections, at).pool, ...others });
    return createMysqlAdapter({ connection: { uri: at, connectionLimit: connections, idleTimeout: 1_000 }, ...others });
  };
  return {
    adapter: (options) => adapterAt(url, options),
    borrow: async () => {
      const { pool, end } = lend(POOL);
      return {
        adapter: createMysqlAdapter({ pool, database: name, prefix, ...settings }),
        use: async () => void (await pool.query("select 1")),
        end,
      };
    },
    line: async () => {
      const proxy = await createProxy(url);
      endings.push(() => proxy.close());
      return {
        adapter: (options) => adapterAt(proxy.url, options),
        cut: async () => proxy.cut(),
        mend: async () => proxy.mend(),
        loseAcknowledgement: async (text) => proxy.loseAnswer(text),
      };
    },
    effects: effectsOn(admin, name),
    begin: async () => {
      // Some laws begin transactions by the thousand: one after the other, they share a connection.
      const client = idle.pop() ?? (await connect(url));
      raw.add(client);
      return begin(client, () => idle.push(client));
    },
    schema: schemaOf(admin, name, prefix, () => (isNew = false)),
    process: { module: import.meta.url, config },
    drop: async () => {
      await Promise.all([...raw].map((client) => client.end().catch(() => undefined)));
      await Promise.all(endings.map((end) => end()));
      if (reuse !== undefined && isNew && (await sweep(admin, name, prefix))) reuse(name);
      else await dropDatabase(admin, name);
      await admin.end();
    },
  };
}

/** More than any law needs, few enough for many laws at once. */
const POOL = 8;

/** @param {string} url @param {string} database */
function urlOf(url, database) {
  const { href } = Object.assign(new URL(url), { pathname: `/${database}` });
  return href;
}

/** @param {import("mysql2/promise").PoolOptions} options */
function openPool(options) {
  return createPool({ idleTimeout: 1_000, maxIdle: 0, ...options });
}

/** A pool may be ended once only. @param {Pool} pool */
function endOnce(pool) {
  /** @type {Promise<void> | undefined} */
  let ended;
  return () => (ended ??= pool.end());
}

/** @param {string} database */
function effectsOf(database) {
  return `${database}.effects`;
}

/** @param {Pool} admin @param {string} database @returns {TestDatabase["effects"]} */
function effectsOn(admin, database) {
  const effects = effectsOf(database);
  return {
    write: async (tx, key, value) => {
      await tx.query(`insert into ${effects} values (?, ?) on duplicate key update value = values(value)`, [
        key,
        value,
      ]);
    },
    read: async (key) => (await rowsOf(admin, `select value from ${effects} where name = ?`, [key]))[0]?.["value"],
    fail: async (tx) => void (await tx.query(`insert into ${effects} values ('fail', null)`)),
    define: async (tx, table) => void (await tx.query(`create table ${database}.${table} (name text)`)),
    defined: async (table) => (await tablesOf(admin, database)).includes(table),
    end: async (tx, how) => void (await tx.query(how)),
  };
}

/** @param {Pool} admin @param {string} sql @param {readonly string[]} [values] */
async function rowsOf(admin, sql, values = []) {
  const [rows] = await admin.query(sql, [...values]);
  return /** @type {readonly Row[]} */ (rows);
}

/** @param {Pool} admin @param {string} database @returns {Promise<readonly string[]>} */
async function tablesOf(admin, database) {
  const sql = "select table_name as name from information_schema.tables where table_schema = ?";
  return (await rowsOf(admin, sql, [database])).map((row) => row["name"]);
}

/** @param {string} url */
async function connect(url) {
  const client = await createConnection({ uri: url });
  client.on("error", () => undefined);
  return client;
}

/** @param {Client} client @param {() => unknown} giveBack @returns {ReturnType<TestDatabase["begin"]>} */
async function begin(client, giveBack) {
  await client.beginTransaction();
  /** @param {string} statement */
  const end = async (statement) => {
    await client.query(statement);
    giveBack();
  };
  return {
    tx: client,
    commit: () => end("commit"),
    rollback: () => end("rollback"),
    savepoint: async () => {
      await client.query("savepoint law");
      return async () => void (await client.query("rollback to savepoint law"));
    },
    kill: async () => {
      // What the driver sends at the end of a connection would be a word of farewell.
      const { stream } = /** @type {any} */ (client).connection;
      const gone = once(stream, "close");
      stream.destroy();
      await gone;
    },
  };
}

/** @param {Pool} admin @param {string} database @param {string} prefix @param {() => unknown} onChange @returns {TestDatabase["schema"]} */
function schemaOf(admin, database, prefix, onChange) {
  const migration = `${database}.${prefix}migration`;
  /** @param {string} statement */
  const change = async (statement) => {
    onChange();
    await admin.query(statement);
  };
  return {
    older: () => change(`delete from ${migration} order by version desc limit 1`),
    missing: async () => {
      const tables = (await tablesOf(admin, database)).filter((table) => table.startsWith(prefix));
      if (tables.length > 0) await change(`drop table ${tables.map((table) => `${database}.${table}`).join(", ")}`);
    },
    newer: () =>
      change(`insert into ${migration} (version, name) select max(version) + 1, 'from the future' from ${migration}`),
  };
}

/** What is not left as it is, by the name without the prefix. */
const KEPT = ["migration", "log", "counter"];
/** What appends insert into, by keys that the next law uses as well. */
const APPENDED = ["event", "aggregate"];
/** Tables of a store. */
const TABLES = 22;
/** How often it is looked whether connections that were closed are gone. */
const LOOKS = 20;

/**
 * Makes a database as good as new, which takes a tenth of making a new one. Not where somebody is still connected to it,
 * who might go on writing. @param {Pool} admin @param {string} database @param {string} prefix @returns {Promise<boolean>}
 */
async function sweep(admin, database, prefix) {
  for (let look = 1; (await connectionsOf(admin, database)).length > 0; look++) {
    if (look === LOOKS) return false;
    await pause(5);
  }
  const tables = (await tablesOf(admin, database)).filter((table) => table !== "effects");
  if (tables.length !== TABLES || !tables.every((table) => table.startsWith(prefix))) return false;
  const of = (/** @type {string} */ table) => `${database}.${prefix}${table}`;
  const emptied = tables.map((table) => table.slice(prefix.length)).filter((table) => !KEPT.includes(table));
  const [last] = await rowsOf(admin, `select coalesce(max(position), 0) as position from ${of("event")}`);
  // What was deleted is still there for a while, and in the way: of those who read much, and of those who append, since
  // whoever inserts the same unique key again locks the gap beside it.
  const isLong = (last?.["position"] ?? 0) > 500;
  const isInTheWay = (/** @type {string} */ table) => isLong || APPENDED.includes(table);
  await admin.query(`
    ${emptied.map((table) => `${isInTheWay(table) ? "truncate table" : "delete from"} ${of(table)};`).join("\n")}
    delete from ${effectsOf(database)};
    update ${of("counter")} set position = 0;
    update ${of("log")} set log_id = uuid(), base_token = 0;`);
  return true;
}

/** @param {Pool} admin @param {string} database @returns {Promise<readonly number[]>} */
async function connectionsOf(admin, database) {
  // Not from the information schema, which on MySQL fails while any statement holds characters of four bytes.
  const all = await rowsOf(admin, "show processlist");
  return all.filter((row) => row["db"] === database).map((row) => row["Id"]);
}

/** A broken store may have left a transaction open, which holds locks: it is ended. @param {Pool} admin @param {string} database */
async function dropDatabase(admin, database) {
  const client = await admin.getConnection();
  try {
    await client.query("set session lock_wait_timeout = 1");
    for (let attempt = 1; ; attempt++) {
      for (const id of await connectionsOf(admin, database)) await admin.query(`kill ${id}`).catch(() => undefined);
      try {
        await client.query(`drop database if exists ${database}`);
        return;
      } catch (error) {
        if (attempt === 30) throw error;
      }
    }
  } finally {
    client.release();
  }
}

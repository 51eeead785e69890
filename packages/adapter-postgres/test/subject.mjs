// @ts-check
import { randomBytes } from "node:crypto";
import {
  createPostgresAdapter,
  postgresCapabilities,
  postgresCounterCapabilities,
  postgresNotifyCapabilities,
} from "@tidemark/adapter-postgres";
import { createProxy } from "@tidemark/test-servers/proxy";
import { Client, Pool } from "pg";

/** @typedef {import("@tidemark/adapter-postgres").PostgresTransaction} Tx */
/** @typedef {import("@tidemark/conformance").TestDatabase<Tx>} TestDatabase */
/** @typedef {import("@tidemark/conformance").Subject<Tx>} Subject */
/** @typedef {Partial<Pick<import("@tidemark/adapter-postgres").PostgresOptions, "ordering" | "notify" | "preparedStatements">>} Settings */
/** @typedef {{ url: string, direct?: string | undefined, schemaName: string, settings: Settings, borrowed: boolean }} Config */

/**
 * A subject in the database at `url`. Each law gets a schema of its own there, and another one for what the application
 * in the law writes.
 * @param {string} name @param {string} url @param {{ settings?: Settings, borrowed?: boolean, prefix?: string, direct?: string, reuses?: boolean }} [options]
 * direct: the way to the database around a pooler; reuses: whether a law may get a schema that another one has left
 * @returns {Subject}
 */
export function createSubject(
  name,
  url,
  { settings = {}, borrowed = false, prefix = "tidemark", direct = url, reuses = true } = {},
) {
  const capabilities =
    settings.ordering === "counter"
      ? postgresCounterCapabilities
      : settings.notify === true
        ? postgresNotifyCapabilities
        : postgresCapabilities;
  /** Schemas that laws have left as they found them: made once, used by many. @type {string[]} */
  const swept = [];
  const create = async () => {
    const schemaName = swept.pop() ?? (await createSchemas(direct, `${prefix}_${randomBytes(6).toString("hex")}`));
    const reuse = reuses ? (/** @type {string} */ left) => swept.push(left) : undefined;
    return openDatabase({ url, direct, schemaName, settings, borrowed }, reuse);
  };
  return { name, capabilities, server: true, create };
}

/** @param {string} url @param {string} schemaName */
async function createSchemas(url, schemaName) {
  const admin = await connect(url);
  await admin.query(
    `create schema ${schemaName}_app; create table ${effectsOf(schemaName)} (key text primary key, value text not null)`,
  );
  await admin.end();
  return schemaName;
}

/**
 * For laws in another process as well. `reuse` takes the schema when it is as good as new.
 * @param {Config} config @param {(schemaName: string) => unknown} [reuse] @returns {TestDatabase}
 */
export function openDatabase(config, reuse) {
  const { url, direct = url, schemaName, settings, borrowed } = config;
  const admin = createPool({ connectionString: direct, max: 2, idleTimeoutMillis: 1_000 });
  /** @type {(() => Promise<unknown>)[]} */
  const endings = [];
  /** @type {Set<Client>} */
  const raw = new Set();
  /** @type {Client[]} */
  const idle = [];
  let isNew = true;
  // By its name, a connection that a law has left behind is known.
  /** @param {string} at @param {number} max */
  const poolConfig = (at, max) => ({
    connectionString: at,
    max,
    idleTimeoutMillis: 1_000,
    application_name: schemaName,
  });
  /** @param {number} max @param {string} [at] */
  const lend = (max, at = url) => {
    const pool = createPool(poolConfig(at, max));
    endings.push(() => endPool(pool));
    return pool;
  };
  /** @param {string} at @param {import("@tidemark/conformance").AdapterOptions} [options] */
  const adapterAt = (at, { connections = POOL, waitMs } = {}) => {
    const others = { schemaName, waitMs, ...settings };
    if (borrowed) return createPostgresAdapter({ pool: lend(connections, at), ...others });
    const connection = poolConfig(at, connections);
    return createPostgresAdapter({ connection, ...others });
  };
  return {
    adapter: (options) => adapterAt(url, options),
    borrow: async () => {
      const pool = lend(POOL);
      return {
        adapter: createPostgresAdapter({ pool, schemaName, ...settings }),
        use: async () => void (await pool.query("select 1")),
        end: () => endPool(pool),
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
    effects: effectsOn(admin, schemaName),
    begin: async () => {
      // Some laws begin transactions by the thousand: one after the other, they share a connection.
      const client = idle.pop() ?? (await connect(url, schemaName));
      raw.add(client);
      return begin(client, () => idle.push(client));
    },
    schema: schemaOf(admin, schemaName, () => (isNew = false)),
    process: { module: import.meta.url, config },
    drop: async () => {
      await Promise.all([...raw].map((client) => client.end().catch(() => undefined)));
      await Promise.all(endings.map((end) => end()));
      if (reuse !== undefined && isNew && (await sweep(admin, schemaName))) reuse(schemaName);
      else await dropSchemas(admin, schemaName);
      await admin.end();
    },
  };
}

/** More than any law needs, few enough for many laws at once. */
const POOL = 8;

/** @param {import("pg").PoolConfig} config */
function createPool(config) {
  const pool = new Pool(config);
  pool.on("error", () => undefined);
  return pool;
}

/** A pool may be ended once only. @param {Pool} pool */
async function endPool(pool) {
  if (!pool.ending) await pool.end();
}

/** @param {string} schemaName */
function effectsOf(schemaName) {
  return `${schemaName}_app.effects`;
}

/** @param {Pool} admin @param {string} schemaName @returns {TestDatabase["effects"]} */
function effectsOn(admin, schemaName) {
  const effects = effectsOf(schemaName);
  return {
    write: async (tx, key, value) => {
      await tx.query(`insert into ${effects} values ($1, $2) on conflict (key) do update set value = excluded.value`, [
        key,
        value,
      ]);
    },
    read: async (key) => {
      const { rows } = await admin.query(`select value from ${effects} where key = $1`, [key]);
      return rows[0]?.value;
    },
    fail: async (tx) => void (await tx.query(`insert into ${effects} values ('fail', null)`)),
    define: async (tx, table) => void (await tx.query(`create table ${schemaName}_app.${table} (key text)`)),
    defined: async (table) => {
      const { rows } = await admin.query("select to_regclass($1) is not null as defined", [
        `${schemaName}_app.${table}`,
      ]);
      return rows[0]?.defined === true;
    },
    end: async (tx, how) => void (await tx.query(how)),
  };
}

/** @param {string} url @param {string} [name] by which it is known that it was left behind */
async function connect(url, name) {
  const client = new Client({ connectionString: url, application_name: name });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

/** @param {Client} client @param {() => unknown} giveBack @returns {ReturnType<TestDatabase["begin"]>} */
async function begin(client, giveBack) {
  await client.query("begin");
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
      const gone = new Promise((resolve) => client.once("end", resolve));
      // What the driver sends at the end of a connection would be a word of farewell.
      /** @type {any} */ (client).connection.stream.destroy();
      await gone;
    },
  };
}

/** @param {Pool} admin @param {string} schemaName @param {() => unknown} onChange @returns {TestDatabase["schema"]} */
function schemaOf(admin, schemaName, onChange) {
  const migration = `${schemaName}.migration`;
  /** @param {string} statement */
  const change = async (statement) => {
    onChange();
    await admin.query(statement);
  };
  return {
    older: () => change(`delete from ${migration} where version = (select max(version) from ${migration})`),
    missing: () => change(`drop schema if exists ${schemaName} cascade`),
    newer: () =>
      change(`insert into ${migration} (version, name) select max(version) + 1, 'from the future' from ${migration}`),
  };
}

const RECORDS =
  "aggregate, consumer, consumer_member, consumer_segment, saga, saga_association, saga_deadline, dead_letter, " +
  "dead_letter_sequence, claim, completion, actor, snapshot, identity, identity_key, pack";

/**
 * Makes a schema as good as new, which takes less than making a new one. Not where somebody is still connected to it, who
 * might go on writing. @param {Pool} admin @param {string} schemaName @returns {Promise<boolean>}
 */
async function sweep(admin, schemaName) {
  const app = `${schemaName}_app`;
  const { rows } = await admin.query(
    `select not exists (select from pg_stat_activity where application_name = $1)
       and to_regclass($2) is not null and (select count(*) = 1 from pg_tables where schemaname = $3) as clean`,
    [schemaName, `${schemaName}.event`, app],
  );
  if (rows[0]?.clean !== true) return false;
  const deletes = RECORDS.split(", ").map((table) => `delete from ${schemaName}.${table};`);
  try {
    await admin.query(`
      set lock_timeout = '500ms';
      begin;
      do $$ begin
        if (select last_value from ${schemaName}.event_position) > 500 then
          truncate ${schemaName}.event;
        else
          delete from ${schemaName}.event;
        end if;
      end $$;
      ${deletes.join("\n")}
      delete from ${effectsOf(schemaName)};
      update ${schemaName}.counter set position = 0;
      update ${schemaName}.log set log_id = gen_random_uuid()::text;
      alter sequence ${schemaName}.event_position restart;
      commit`);
    return true;
  } catch {
    await admin.query("rollback").catch(() => undefined);
    return false;
  }
}

/** A broken store may have left a transaction open, which holds locks: it is ended. @param {Pool} admin @param {string} schemaName */
async function dropSchemas(admin, schemaName) {
  for (let attempt = 1; ; attempt++) {
    try {
      await admin.query(
        `set lock_timeout = '500ms'; drop schema if exists ${schemaName} cascade; drop schema if exists ${schemaName}_app cascade`,
      );
      return;
    } catch (error) {
      if (attempt === 20) throw error;
      await admin.query(
        `select pg_terminate_backend(l.pid) from pg_locks l
         join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
         where n.nspname in ($1, $2) and l.pid <> pg_backend_pid()`,
        [schemaName, `${schemaName}_app`],
      );
    }
  }
}

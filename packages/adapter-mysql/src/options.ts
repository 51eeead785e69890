import { type Ident, ident, invalidArgument, milliseconds } from "@tidemark/sql-kit";
import type { Pool as CallbackPool } from "mysql2";
import type { Pool, PoolOptions } from "mysql2/promise";
import { configOfPool } from "./pool.ts";

/**
 * Where the log is. `connection` is a URL or mysql2's own configuration; the store opens a pool and closes it. `pool` is
 * one of yours, of `mysql2` or of `mysql2/promise`, which is never closed.
 */
export type MysqlLocation =
  | { readonly connection: string | PoolOptions; readonly pool?: undefined }
  | { readonly pool: Pool | CallbackPool; readonly connection?: undefined };

/** How positions come to be in the order in which readers see events. */
export type Ordering = "frontier" | "counter";

export type MysqlOptions = MysqlLocation & {
  /** The database that holds all tables. Default: the one that the connection names. */
  readonly database?: string | undefined;
  /** What the names of all tables begin with. Stores with different prefixes do not meet. Default `"tidemark_"`. */
  readonly prefix?: string | undefined;
  /**
   * `"frontier"`: writers do not wait for each other. `"counter"`: one writer at a time, for Galera, group replication
   * with several primaries, and reading from replicas. Fixed when the tables are made; a store that is opened with the
   * other one is refused. Default `"frontier"`.
   */
  readonly ordering?: Ordering | undefined;
  /**
   * How long a call waits for a connection of the pool, in milliseconds. Connections that the store opens itself wait as
   * long for the server to answer, and, in whole seconds, for locks; yours as long as their `innodb_lock_wait_timeout`
   * and `lock_wait_timeout`. Default 10 000.
   */
  readonly waitMs?: number | undefined;
  /**
   * After how many milliseconds without a statement, in whole seconds, the server gives up a transaction of the store's,
   * and with it the readers' waiting for it: the bound for a process that stands still. Default 60 000.
   */
  readonly idleInTransactionMs?: number | undefined;
};

export interface ResolvedOptions {
  /** Of the pool, and of the store's own reader sessions beside it. */
  readonly config: PoolOptions;
  readonly pool: Pool | undefined;
  readonly database: Ident;
  readonly prefix: Ident;
  readonly ordering: Ordering;
  readonly waitMs: number;
  readonly idleInTransactionMs: number;
}

export function resolveOptions(options: MysqlOptions): ResolvedOptions {
  if (typeof options !== "object" || options === null) {
    throw invalidArgument("options", "Give an object with connection or pool.");
  }
  const { connection, pool, ordering = "frontier" } = options;
  if ((connection === undefined) === (pool === undefined)) {
    throw invalidArgument(
      "connection",
      "Give either connection, a URL or a configuration of mysql2, or pool, what createPool() of mysql2 returns.",
    );
  }
  if (ordering !== "frontier" && ordering !== "counter") {
    throw invalidArgument("ordering", `ordering is "frontier" or "counter", got ${JSON.stringify(ordering)}.`);
  }
  const config = pool === undefined ? configOf(connection) : configOfPool(pool);
  return Object.freeze({
    config,
    pool: pool === undefined ? undefined : asPromisePool(pool),
    database: databaseIdent(options.database ?? config.database),
    prefix: prefixIdent(options.prefix ?? DEFAULT_PREFIX),
    ordering,
    waitMs: milliseconds("waitMs", options.waitMs ?? 10_000),
    idleInTransactionMs: milliseconds("idleInTransactionMs", options.idleInTransactionMs ?? 60_000),
  });
}

export const DEFAULT_PREFIX = "tidemark_";

/** Checks a table prefix. Throws INVALID_ARGUMENT. */
export function prefixIdent(name: string): Ident {
  return ident(name, {
    argument: "prefix",
    pattern: /^[A-Za-z_][A-Za-z0-9_]{0,31}$/,
    words: "at most 32 letters, digits and underscores, and does not begin with a digit",
  });
}

/** Checks a database's name, which statements quote. Throws INVALID_ARGUMENT. */
export function databaseIdent(name: string | undefined): Ident {
  if (name === undefined || name === "") {
    throw invalidArgument(
      "database",
      "Name the database: at the end of the URL, in the configuration, or as database.",
    );
  }
  return ident(name, {
    argument: "database",
    pattern: /^[A-Za-z0-9_-]{1,64}$/,
    words: 'at most 64 letters, digits, "_" and "-"',
  });
}

/** What is wrong with a connection is said without showing it: it may hold a password. */
function configOf(connection: string | PoolOptions | undefined): PoolOptions {
  const config = typeof connection === "string" ? configOfUrl(connection) : withUrl(connection);
  if (typeof config === "object" && config !== null) {
    return { ...checkLimit(config), keepAliveInitialDelay: config.keepAliveInitialDelay ?? KEEP_ALIVE_MS };
  }
  throw invalidArgument(
    "connection",
    'connection is a URL that begins with "mysql://", or a configuration object of mysql2. In a URL, encode what is ' +
      "special in user and password with encodeURIComponent.",
  );
}

/** After how long of silence the operating system asks whether the other end is still there: ten times, a second apart. */
const KEEP_ALIVE_MS = 10_000;

function checkLimit(config: PoolOptions): PoolOptions {
  const { connectionLimit = 0 } = config;
  if (Number.isInteger(connectionLimit) && connectionLimit >= 0) return config;
  throw invalidArgument(
    "connection",
    `connectionLimit is a whole number of connections, or 0 for no limit, got ${String(connectionLimit)}.`,
  );
}

/** What a URL in a configuration says is said by the rest of it otherwise, as the driver has it. */
function withUrl(config: PoolOptions | undefined): PoolOptions | undefined {
  if (typeof config !== "object" || config === null || config.uri === undefined) return config;
  const ofUrl = configOfUrl(config.uri);
  const said = Object.entries(config).filter(([, value]) => value !== undefined && !FALSY.includes(value));
  return ofUrl && { ...config, ...ofUrl, ...Object.fromEntries(said) };
}

/** What the driver takes for nothing. */
const FALSY: readonly unknown[] = [0, "", false, null];

/** As the driver reads it, which says nothing of what it cannot read. */
function configOfUrl(url: string): PoolOptions | undefined {
  if (!/^(mysql|mariadb):\/\//.test(url)) return undefined;
  try {
    const { username, password, hostname, pathname, searchParams } = new URL(url);
    const database = decodeURIComponent(pathname.slice(1));
    [username, password, hostname].forEach(decodeURIComponent);
    const numbers: Partial<Record<(typeof NUMBERS)[number], number>> = {};
    for (const name of NUMBERS) if (searchParams.has(name)) numbers[name] = Number(searchParams.get(name));
    return { uri: url, database, ...numbers };
  } catch {
    return undefined;
  }
}

/** By which the store decides how many connections it has, and for how long. */
const NUMBERS = ["connectionLimit", "maxIdle", "idleTimeout", "connectTimeout", "keepAliveInitialDelay"] as const;

function asPromisePool(pool: Pool | CallbackPool): Pool {
  return isOfCallbacks(pool) ? pool.promise() : pool;
}

function isOfCallbacks(pool: Pool | CallbackPool): pool is CallbackPool {
  return "promise" in pool && typeof pool.promise === "function";
}

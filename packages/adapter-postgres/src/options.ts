import { type Ident, ident, invalidArgument, milliseconds } from "@tidemark/sql-kit";
import type { Pool, PoolConfig } from "pg";

/**
 * Where the log is. `connection` is a URL or pg's own configuration; the store opens a pool and closes it. `pool` is
 * one of yours, which is never closed.
 */
export type PostgresLocation =
  | { readonly connection: string | PoolConfig; readonly pool?: undefined }
  | { readonly pool: Pool; readonly connection?: undefined };

/** How positions come to be in the order in which readers see events. */
export type Ordering = "frontier" | "counter";

export type PostgresOptions = PostgresLocation & {
  /** The schema that holds all tables. Stores in different schemas do not meet. Default `"tidemark"`. */
  readonly schemaName?: string | undefined;
  /**
   * `"frontier"`: writers do not wait for each other. `"counter"`: one writer at a time, for servers on which advisory
   * locks or sequences are not what they are on PostgreSQL, and for reading from replicas. Fixed when the schema is
   * made; a store that is opened with the other one is refused. Default `"frontier"`.
   */
  readonly ordering?: Ordering | undefined;
  /** Prepared statements with names; off for poolers that cannot keep them apart. Default true. */
  readonly preparedStatements?: boolean | undefined;
  /**
   * Tells other processes of appends by NOTIFY after the commit, and listens for theirs: two connections more, beside
   * the pool's. Needs a server, not a pooler in transaction mode. Default false: they find out by polling.
   */
  readonly notify?: boolean | undefined;
  /**
   * How long a call waits for a connection of the pool, or for a lock, in milliseconds. Connections that the store opens
   * itself wait no longer for the server to answer, and at most for ten seconds. Default 10 000.
   */
  readonly waitMs?: number | undefined;
  /**
   * After how many milliseconds without a statement the server gives up a transaction of the store's, and with it the
   * readers' waiting for it: the bound for a process that stands still. Default 60 000.
   */
  readonly idleInTransactionMs?: number | undefined;
};

export interface ResolvedOptions {
  readonly connection: string | PoolConfig | undefined;
  readonly pool: Pool | undefined;
  readonly schemaName: Ident;
  readonly ordering: Ordering;
  readonly prepare: boolean;
  readonly notify: boolean;
  readonly waitMs: number;
  readonly idleInTransactionMs: number;
}

export function resolveOptions(options: PostgresOptions): ResolvedOptions {
  if (typeof options !== "object" || options === null) {
    throw invalidArgument("options", "Give an object with connection or pool.");
  }
  const { connection, pool, ordering = "frontier", preparedStatements = true, notify = false } = options;
  if ((connection === undefined) === (pool === undefined)) {
    throw invalidArgument("connection", "Give either connection, a URL or a configuration of pg, or pool, a pg.Pool.");
  }
  if (connection !== undefined) checkConnection(connection);
  if (pool !== undefined && (typeof pool !== "object" || pool === null || typeof pool.connect !== "function")) {
    throw invalidArgument("pool", "pool is what `new Pool()` of pg returns.");
  }
  if (ordering !== "frontier" && ordering !== "counter") {
    throw invalidArgument("ordering", `ordering is "frontier" or "counter", got ${JSON.stringify(ordering)}.`);
  }
  return Object.freeze({
    connection,
    pool,
    schemaName: schemaIdent(options.schemaName ?? DEFAULT_SCHEMA),
    ordering,
    prepare: checkBoolean("preparedStatements", preparedStatements),
    notify: checkBoolean("notify", notify),
    waitMs: milliseconds("waitMs", options.waitMs ?? 10_000),
    idleInTransactionMs: milliseconds("idleInTransactionMs", options.idleInTransactionMs ?? 60_000),
  });
}

export const DEFAULT_SCHEMA = "tidemark";

/** Checks a schema's name. Throws INVALID_ARGUMENT. */
export function schemaIdent(name: string): Ident {
  return ident(name, {
    argument: "schemaName",
    pattern: /^(?!pg_)[a-z_][a-z0-9_]{0,47}$/,
    words: 'at most 48 lower-case letters, digits and underscores, and begins with neither a digit nor "pg_"',
  });
}

/** What is wrong with a connection is said without showing it: it may hold a password. */
function checkConnection(connection: string | PoolConfig): void {
  if (typeof connection === "object" && connection !== null) return;
  if (typeof connection === "string" && /^postgres(ql)?:\/\//.test(connection) && isReadable(connection)) return;
  throw invalidArgument(
    "connection",
    'connection is a URL that begins with "postgres://", or a configuration object of pg. In a URL, encode what is ' +
      "special in user and password with encodeURIComponent.",
  );
}

/** As the driver reads it. */
function isReadable(url: string): boolean {
  try {
    const { username, password, hostname, pathname } = new URL(url);
    [username, password, hostname, pathname].forEach(decodeURIComponent);
    return true;
  } catch {
    return false;
  }
}

function checkBoolean(argument: string, value: boolean): boolean {
  if (typeof value === "boolean") return value;
  throw invalidArgument(argument, `${argument} is true or false.`);
}

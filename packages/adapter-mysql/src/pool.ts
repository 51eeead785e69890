import { invalidArgument } from "@tidemark/sql-kit";
import type { Pool as CallbackPool } from "mysql2";
import { createPool, type Pool, type PoolOptions } from "mysql2/promise";
import { translate } from "./driver-errors.ts";

/** A server that needs longer than a call may wait is of use to the next one. */
const LEAST_CONNECT_MS = 1_000;

/** How long is waited. */
export interface Patience {
  /** By a call for a connection of the pool, in milliseconds. */
  readonly waitMs: number;
  /** By the server for a statement, before it gives up a transaction of ours, in milliseconds. */
  readonly idleInTransactionMs: number;
}

export function secondsOf(ms: number): number {
  return Math.ceil(ms / 1_000);
}

/** What connections of the pool are made with. */
export function configOfPool(pool: Pool | CallbackPool): PoolOptions {
  if (typeof pool === "object" && pool !== null && typeof pool.getConnection === "function") {
    const { config } = asCorePool(pool);
    if (config !== undefined) return config.connectionConfig;
  }
  throw invalidArgument("pool", "pool is what createPool() of mysql2 or mysql2/promise returns.");
}

/** Whether the pool sets sessions back to what they are by default, each time that a connection is released. */
export function resetsOnRelease(pool: Pool): boolean {
  return asCorePool(pool).config?.resetOnRelease === true;
}

/**
 * How many connections that nobody uses stay open for a while. A pool that is made to keep as many as it may have keeps
 * them for ever, and one that is made to keep fewer closes the others at once, which of one connection is the only one.
 */
function keepIdle(pool: Pool, maxIdle: number): void {
  const { config } = asCorePool(pool);
  if (config !== undefined) config.maxIdle = maxIdle;
}

/** What the driver's types do not show: what a pool was made with. */
interface CorePool {
  readonly config?: CoreConfig | undefined;
}

interface CoreConfig {
  readonly connectionConfig: PoolOptions;
  readonly resetOnRelease?: boolean;
  maxIdle?: number;
}

function asCorePool(pool: object): CorePool {
  return "pool" in pool ? (pool.pool as CorePool) : pool;
}

/** Connections that are set as those of the pool, and are not among them. */
export function configBeside(config: PoolOptions): PoolOptions {
  return Object.fromEntries(WAYS.filter((way) => config[way] !== undefined).map((way) => [way, config[way]]));
}

/** How the server is reached, and as whom; not what becomes of statements. */
const WAYS: readonly (keyof PoolOptions)[] = [
  "uri",
  "host",
  "port",
  "user",
  "password",
  "password1",
  "password2",
  "password3",
  "passwordSha1",
  "authPlugins",
  "authSwitchHandler",
  "insecureAuth",
  "enableCleartextPlugin",
  "database",
  "socketPath",
  "localAddress",
  "ssl",
  "stream",
  "connectTimeout",
  "enableKeepAlive",
  "keepAliveInitialDelay",
];

/**
 * A pool of the store's own. Connections that nobody uses are closed before the server, which allows less, does it. A
 * server that does not answer is given up before the call is that waits for it.
 */
export function createOwnPool(config: PoolOptions, { idleInTransactionMs, waitMs }: Patience): Pool {
  // No limit, as the driver has it, is none that is ever reached: of idle ones it closes none where there is no limit.
  const limit = numberOr(config.connectionLimit, 10) || Number.MAX_SAFE_INTEGER;
  const maxIdle = Math.max(Math.min(numberOr(config.maxIdle, limit), limit), 0);
  const connectTimeout = Math.min(numberOr(config.connectTimeout, 10_000), Math.max(waitMs, LEAST_CONNECT_MS));
  const idleTimeout = Math.min(numberOr(config.idleTimeout, 60_000), secondsOf(idleInTransactionMs) * 500);
  try {
    const fewer = Math.max(Math.min(maxIdle, limit - 1), 0);
    const pool = createPool({ ...config, connectionLimit: limit, maxIdle: fewer, idleTimeout, connectTimeout });
    keepIdle(pool, maxIdle);
    return pool;
  } catch (error) {
    throw translate(error, { waitMs, idleInTransactionMs });
  }
}

/** As the driver reads it, which also takes texts. */
function numberOr(value: unknown, otherwise: number): number {
  const number = Number(value);
  return Number.isNaN(number) ? otherwise : number;
}

import { TidemarkError } from "@tidemark/core";
import type { Ident } from "@tidemark/sql-kit";
import { invalidArgument, notOpen, otherLog, transactionEnded } from "@tidemark/sql-kit";

export { invalidArgument, notOpen, otherLog, transactionEnded };

const ADAPTER = "postgres";

/** What errors tell of how the adapter was set up. */
export interface ErrorContext {
  readonly waitMs: number;
  readonly idleInTransactionMs: number;
}

/** What is known of a pool: clients, and calls that wait for one that is in use. */
interface PoolCounts {
  readonly totalCount?: number;
  readonly waitingCount?: number;
}

/** Why a call has waited for a client in vain. */
export function waitedForConnection(pool: PoolCounts, waitedMs: number): TidemarkError<"BUSY" | "UNAVAILABLE"> {
  return pool.waitingCount === 0 ? silent(waitedMs) : poolExhausted(pool, waitedMs);
}

/** Where nobody waits for a client that is in use, one is being made. */
function silent(waitedMs: number): TidemarkError<"UNAVAILABLE"> {
  return new TidemarkError(
    "UNAVAILABLE",
    `PostgreSQL cannot be used now: a new connection was not answered for ${waitedMs} ms. Look at host, port and the ` +
      "server; the call may be repeated.",
    { adapter: ADAPTER },
  );
}

function poolExhausted(pool: PoolCounts, waitedMs: number): TidemarkError<"BUSY"> {
  return new TidemarkError(
    "BUSY",
    `No connection of the pool became free for ${waitedMs} ms; it has ${pool.totalCount ?? "all"} in use. Look for ` +
      "transactions that stay open and for clients that are not released, or give the pool more connections (max): " +
      "every transaction, zone renewal and read beside a transaction needs one.",
    { adapter: ADAPTER, waitedMs },
  );
}

export function transactionRequired(): TidemarkError<"TRANSACTION_REQUIRED"> {
  return new TidemarkError(
    "TRANSACTION_REQUIRED",
    'The client has no open transaction. Run "begin" on it first and commit afterwards, or use store.transaction.',
    {},
  );
}

export function otherOrdering(stored: string, given: string): TidemarkError<"INVALID_ARGUMENT"> {
  return new TidemarkError(
    "INVALID_ARGUMENT",
    `The schema was made with ordering: "${stored}", and "${given}" would skip events. Open it with ordering: ` +
      `"${stored}" or without, or make a new schema and copy the events.`,
    { argument: "ordering" },
  );
}

export function clashingTags(schemaName: Ident): TidemarkError<"UNUSABLE"> {
  return new TidemarkError(
    "UNUSABLE",
    "Another log of this database has the same tag, as a backup that was restored beside its original has, so that each " +
      `would hold the other's readers back. Run once, as the owner: select "${schemaName}".allot_tag();`,
    { adapter: ADAPTER },
  );
}

/** A connection that has taken positions in advance gives out lower ones than others have given out meanwhile. */
export function cachedPositions(schemaName: Ident): TidemarkError<"UNUSABLE"> {
  return new TidemarkError(
    "UNUSABLE",
    "The sequence of positions was altered to have a cache, with which readers would skip events. Run once, as the " +
      `owner, then end the sessions that were open before: alter sequence "${schemaName}".event_position cache 1;`,
    { adapter: ADAPTER },
  );
}

export function onStandby(cause?: unknown): TidemarkError<"UNAVAILABLE"> {
  return new TidemarkError(
    "UNAVAILABLE",
    "PostgreSQL cannot be used now: the server is a standby, where nobody sees who is appending. Connect to the primary.",
    { adapter: ADAPTER },
    { cause },
  );
}

/** In an append: somebody has inserted one of its events without locking the aggregate, as other tools do. */
export function insertedBeside(cause: unknown): TidemarkError<"CONTENTION"> {
  return contention("Another transaction has inserted events of an aggregate beside this one.")(cause);
}

export function idledTooLong(allowedMs: number, cause: unknown): TidemarkError<"TRANSACTION_TIMEOUT"> {
  return new TidemarkError(
    "TRANSACTION_TIMEOUT",
    `The transaction ran no statement for ${allowedMs} ms, so the server has rolled it back and closed its connection. ` +
      "Keep slow work out of transactions, or raise idleInTransactionMs.",
    { allowedMs },
    { cause },
  );
}

/** What callers are told where the driver said `cause`. */
export type Translation = (cause: unknown, context: ErrorContext) => TidemarkError;

export function unavailable(why: string): Translation {
  return (cause) =>
    new TidemarkError("UNAVAILABLE", `PostgreSQL cannot be used now: ${why}.`, { adapter: ADAPTER }, { cause });
}

export function unusable(advice: string): Translation {
  return (cause) =>
    new TidemarkError(
      "UNUSABLE",
      `PostgreSQL refuses: ${messageOf(cause)}. ${advice}`,
      { adapter: ADAPTER },
      { cause },
    );
}

export function contention(why: string): (cause: unknown) => TidemarkError<"CONTENTION"> {
  return (cause) =>
    new TidemarkError(
      "CONTENTION",
      `${why} The transaction was rolled back, so that others go on. Run it again.`,
      { adapter: ADAPTER },
      { cause },
    );
}

export function busy(why: string): Translation {
  return (cause, { waitMs }) => new TidemarkError("BUSY", why, { adapter: ADAPTER, waitedMs: waitMs }, { cause });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import { TidemarkError } from "@tidemark/core";
import { invalidArgument, notOpen, otherLog, transactionEnded } from "@tidemark/sql-kit";

export { invalidArgument, notOpen, otherLog, transactionEnded };

const ADAPTER = "mysql";

/** What errors tell of how the adapter was set up. */
export interface ErrorContext {
  readonly waitMs: number;
  readonly idleInTransactionMs: number;
}

export function poolExhausted(waitedMs: number): TidemarkError<"BUSY"> {
  return new TidemarkError(
    "BUSY",
    `No connection of the pool became free for ${waitedMs} ms: all are in use. Look for transactions that stay open and ` +
      "for connections that are not released, or give the pool more (connectionLimit): every transaction, zone renewal " +
      "and read beside a transaction needs one.",
    { adapter: ADAPTER, waitedMs },
  );
}

export function transactionRequired(): TidemarkError<"TRANSACTION_REQUIRED"> {
  return new TidemarkError(
    "TRANSACTION_REQUIRED",
    "What was given to within has no open transaction. Give a connection, not a pool, call beginTransaction() on it first " +
      "and commit afterwards; or use store.transaction.",
    {},
  );
}

/** On a connection of somebody's pool. */
export function leftOpen(cause?: unknown): TidemarkError<"UNUSABLE"> {
  return new TidemarkError(
    "UNUSABLE",
    "The pool has lent a connection on which somebody has left a transaction open, which is rolled back now. Commit or roll " +
      "back before a connection is released.",
    { adapter: ADAPTER },
    { cause },
  );
}

export function otherOrdering(stored: string, given: string): TidemarkError<"INVALID_ARGUMENT"> {
  return new TidemarkError(
    "INVALID_ARGUMENT",
    `The tables were made with ordering: "${stored}", and "${given}" would skip events. Open them with ordering: ` +
      `"${stored}", or make new ones with another prefix and copy the events.`,
    { argument: "ordering" },
  );
}

/** A connection, not the store's own, whose session is set so that our statements would do something else on it. */
export function unfitSession(setting: string, got: string, advice: string): TidemarkError<"UNUSABLE"> {
  return new TidemarkError(
    "UNUSABLE",
    `The connection's session has ${setting} = ${JSON.stringify(got)}, with which the store would not do what it says. ` +
      advice,
    { adapter: ADAPTER },
  );
}

/** The same where it is known only that one of the settings is another one than when the session was looked at. */
export function setOtherwise(): TidemarkError<"UNUSABLE"> {
  return new TidemarkError(
    "UNUSABLE",
    "The connection's session was set otherwise since the transaction began: its character sets, sql_mode, sql_select_limit, " +
      "unique_checks or auto_increment_increment, with which the store would not do what it says. Set them back before the " +
      "store is used.",
    { adapter: ADAPTER },
  );
}

/** Positions of several primaries are not in the order of their commits. `found`: how it is known. */
export function severalPrimaries(found: string): TidemarkError<"UNUSABLE"> {
  return new TidemarkError(
    "UNUSABLE",
    `The server is one of several that write, or set up as one (${found}), where nobody sees who is appending on the ` +
      'others and readers would skip events. Make the tables with ordering: "counter".',
    { adapter: ADAPTER },
  );
}

export function readOnly(cause?: unknown): TidemarkError<"UNAVAILABLE"> {
  return new TidemarkError(
    "UNAVAILABLE",
    "The database cannot be used now: the server, or the transaction, is read-only, as a replica is. The primary is " +
      "elsewhere, or not promoted yet.",
    { adapter: ADAPTER },
    { cause },
  );
}

/** A statement or a value that is longer than the server takes. */
export function tooLarge(cause?: unknown): TidemarkError<"UNUSABLE"> {
  return new TidemarkError(
    "UNUSABLE",
    "The server refuses what is longer than its max_allowed_packet. Raise it, in the server's configuration and by " +
      '"set global max_allowed_packet", above the size of the largest event or snapshot, and make new connections: those that are ' +
      "open keep the old one.",
    { adapter: ADAPTER },
    { cause },
  );
}

/** In an append: somebody has inserted one of its events without locking the aggregate, as other tools do. */
export function insertedBeside(cause: unknown): TidemarkError<"CONTENTION"> {
  return contention("Another transaction has inserted events of an aggregate beside this one.")(cause);
}

/** In an append: the connection was used for something else at the same time, which has rolled back to a savepoint. */
export function undoneBeside(cause?: unknown): TidemarkError<"CONTENTION"> {
  return new TidemarkError(
    "CONTENTION",
    "While the append was under way, the transaction was rolled back to a savepoint from before it. Await what is done in a " +
      "transaction, one after the other, and run it again.",
    { adapter: ADAPTER },
    { cause },
  );
}

/** In an append on a caller's connection, which was used for something else at the same time. */
export function notTakenBack(cause: unknown): TidemarkError<"TRANSACTION_ENDED"> {
  return new TidemarkError(
    "TRANSACTION_ENDED",
    "The append has failed, and what it had written before could not be taken back: while it was under way, the transaction " +
      "was ended, or rolled back to a savepoint from before it. Do not commit: roll back. Await what is done in a " +
      "transaction, one after the other.",
    {},
    { cause },
  );
}

/** MariaDB does not say why it closes a connection: whoever knows how long the transaction has idled says it. */
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
    new TidemarkError("UNAVAILABLE", `The database cannot be used now: ${why}.`, { adapter: ADAPTER }, { cause });
}

export function unusable(advice: string): Translation {
  return (cause) =>
    new TidemarkError(
      "UNUSABLE",
      `The database refuses: ${messageOf(cause).replace(/\.$/, "")}. ${advice}`,
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

/** The words of an error. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import { isTidemarkError, TidemarkError } from "@tidemark/core";
import { invalidArgument, notOpen, otherLog, transactionEnded } from "@tidemark/sql-kit";

export { invalidArgument, notOpen, otherLog, transactionEnded };

const ADAPTER = "sqlite";

/** Whether somebody else has the lock that was asked for, so that trying again a little later may do. */
export function isBusy(error: unknown): boolean {
  const code = driverCode(error);
  return code === "SQLITE_BUSY" || code === "SQLITE_BUSY_RECOVERY" || code === "SQLITE_BUSY_TIMEOUT";
}

/** What the driver threw at one of our own statements, as callers know it. What has no name is returned as it is. */
export function translate(error: unknown, file: string): unknown {
  if (isTidemarkError(error)) return error;
  if (isHeldUpByIterator(error)) return iteratorOpen(error);
  const code = driverCode(error);
  if (code === undefined) return error;
  if (code === "SQLITE_BUSY_SNAPSHOT") {
    return new TidemarkError(
      "CONTENTION",
      "The transaction read first, then another one wrote, so this one cannot write any more. Roll it back and run it " +
        'again; begin transactions that will write with "begin immediate" (better-sqlite3: db.transaction(fn).immediate()).',
      { adapter: ADAPTER },
      { cause: error },
    );
  }
  if (isBusy(error)) return busy(0, error);
  if (code.startsWith("SQLITE_LOCKED")) {
    return new TidemarkError(
      "CONTENTION",
      "A table is locked within the same connection. Finish its readers first.",
      { adapter: ADAPTER },
      { cause: error },
    );
  }
  if (UNAVAILABLE.test(code)) {
    return new TidemarkError(
      "UNAVAILABLE",
      `SQLite cannot use the file ${file} now (${code}). Look at the path, its permissions and the disk.`,
      { adapter: ADAPTER },
      { cause: error },
    );
  }
  const [, reason, advice] = UNUSABLE.find(([pattern]) => pattern.test(code)) ?? [];
  if (reason !== undefined) {
    return new TidemarkError(
      "UNUSABLE",
      `The file ${file} ${reason} (${code}). ${advice}`,
      { adapter: ADAPTER },
      { cause: error },
    );
  }
  return error;
}

/** The file's folder is missing, or a borrowed database was closed: the driver says so without a code. */
export function unusable(message: string, cause?: unknown): TidemarkError<"UNAVAILABLE"> {
  return new TidemarkError("UNAVAILABLE", message, { adapter: ADAPTER }, { cause });
}

export function busy(waitedMs: number, cause?: unknown): TidemarkError<"BUSY"> {
  return new TidemarkError(
    "BUSY",
    `The database stayed locked for ${Math.round(waitedMs)} ms. SQLite has one writer at a time: look for a transaction ` +
      "that is left open, in another process or on a database handle of your own, or for a process that was stopped " +
      "inside one. Keep transactions short, or raise waitMs.",
    { adapter: ADAPTER, waitedMs: Math.round(waitedMs) },
    { cause },
  );
}

export function transactionRequired(): TidemarkError<"TRANSACTION_REQUIRED"> {
  return new TidemarkError(
    "TRANSACTION_REQUIRED",
    'The database handle has no open transaction. Run "begin immediate" on it first and commit afterwards, or use ' +
      "store.transaction.",
    {},
  );
}

/** For what the borrower of a lent transaction may not do, because it would outlast the transaction. */
export function outlasting(what: string): TidemarkError<"UNSUPPORTED"> {
  return new TidemarkError(
    "UNSUPPORTED",
    `${what} would outlast the transaction that this database was lent for. Call it on a database handle of your own.`,
    { capability: `${what} on a lent transaction` },
  );
}

/** The borrower of a lent transaction goes on with an iterator that the store had to close. */
export function iteratorClosed(): TidemarkError<"INVALID_ARGUMENT"> {
  return new TidemarkError(
    "INVALID_ARGUMENT",
    "The store has written in this transaction, for which SQLite's driver needs all iterators closed. Read the rows with " +
      "all() instead, or to their end before you append.",
    { argument: "tx" },
  );
}

const UNAVAILABLE = /^SQLITE_(CANTOPEN|IOERR|PROTOCOL)/;

const UNUSABLE = [
  [/^SQLITE_NOTADB/, "is not a SQLite database, or is encrypted", "Look at the path."],
  [/^SQLITE_CORRUPT/, "is damaged", 'Restore it from a backup; "pragma integrity_check" tells what is damaged.'],
  [/^SQLITE_READONLY/, "cannot be written", "Look at its permissions and those of its folder, and at query_only."],
  [/^SQLITE_FULL/, "cannot grow", "Make room on the disk, or raise max_page_count."],
  [/^SQLITE_NOLFS/, "is larger than this system allows", "Move it to another file system."],
] as const;

/** The driver says so without a code, in words that have been the same since its version 5. */
function isHeldUpByIterator(error: unknown): boolean {
  return error instanceof TypeError && error.message === "This database connection is busy executing a query";
}

function iteratorOpen(cause: unknown): TidemarkError<"INVALID_ARGUMENT"> {
  return new TidemarkError(
    "INVALID_ARGUMENT",
    "An iterator of yours is still open on this database handle, and the driver writes nothing meanwhile. Read its rows " +
      "to their end, close it with return(), or use all() instead.",
    { argument: "tx" },
    { cause },
  );
}

function driverCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return undefined;
  return error.code.startsWith("SQLITE_") ? error.code : undefined;
}

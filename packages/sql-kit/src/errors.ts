import { TidemarkError } from "@tidemark/core";

/** The lent transaction is over, whoever ended it. */
export function transactionEnded(cause?: unknown): TidemarkError<"TRANSACTION_ENDED"> {
  return new TidemarkError(
    "TRANSACTION_ENDED",
    "The transaction that was lent is over: it was committed or rolled back inside the work, or the work has returned. " +
      "Nothing after that counts. Leave begin, commit and rollback to the store, and await everything inside the work.",
    {},
    { cause },
  );
}

/** `within` was given a connection to another log. */
export function otherLog(stored: string, given: string): TidemarkError<"LOG_MISMATCH"> {
  return new TidemarkError(
    "LOG_MISMATCH",
    `The transaction is open on log ${given}, but this store is on log ${stored}. Hand over a transaction of the store's ` +
      "own database, or open the store on the database of the transaction.",
    { stored, given },
  );
}

/** A method of an adapter was called that no store has opened. */
export function notOpen(): TidemarkError<"CLOSED"> {
  return new TidemarkError("CLOSED", "The adapter is not open. Use it through openStore.", {});
}

export function invalidArgument(argument: string, message: string): TidemarkError<"INVALID_ARGUMENT"> {
  return new TidemarkError("INVALID_ARGUMENT", message, { argument });
}

import { TidemarkError } from "@tidemark/core";

/*
 * The other adapters translate here what their driver throws. Memory has no driver: these are the errors that a
 * database of our own has to name itself.
 */

export function transactionEnded(cause?: unknown): TidemarkError<"TRANSACTION_ENDED"> {
  return new TidemarkError(
    "TRANSACTION_ENDED",
    "The transaction is over: it was committed or rolled back, or the work that it was lent to has returned. Begin " +
      "another one, and leave commit and rollback of a lent one to whoever lent it.",
    {},
    { cause },
  );
}

export function deadlock(): TidemarkError<"CONTENTION"> {
  return new TidemarkError(
    "CONTENTION",
    "Waiting for this row would have closed a circle of transactions that wait for each other. This transaction was " +
      "rolled back, so that the others go on. Run it again.",
    { adapter: "memory" },
  );
}

export function otherLog(stored: string, given: string): TidemarkError<"LOG_MISMATCH"> {
  return new TidemarkError(
    "LOG_MISMATCH",
    "The transaction was begun on another memory database than the one that this store keeps its events in. Open the " +
      "store with { database }, and begin the transaction on that database.",
    { stored, given },
  );
}

export function invalidArgument(argument: string, message: string): TidemarkError<"INVALID_ARGUMENT"> {
  return new TidemarkError("INVALID_ARGUMENT", message, { argument });
}

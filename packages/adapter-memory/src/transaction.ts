import { isTidemarkError } from "@tidemark/core";
import { abortable, type Operation, throwIfAborted } from "@tidemark/core/spi";
import type { Database } from "./database.ts";
import { transactionEnded } from "./errors.ts";
import type { Transaction } from "./memory-transaction.ts";

/** Runs `work` in a transaction of its own: commits when it resolves, rolls back when it rejects or the signal fires. */
export async function transact<T>(
  database: Database,
  op: Operation,
  work: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  throwIfAborted(op.signal);
  const transaction = database.begin();
  try {
    const result = await abortable(work(transaction), op.signal);
    throwIfAborted(op.signal);
    // Throws when the work has ended the transaction, or was the victim of a deadlock and kept it to itself.
    transaction.end("committed");
    return result;
  } catch (error) {
    if (transaction.state === "open") transaction.end("rolled-back");
    // Whatever went wrong, it matters more that what the work committed itself is there to stay.
    if (transaction.state === "committed" && !isTidemarkError(error, "TRANSACTION_ENDED"))
      throw transactionEnded(error);
    throw error;
  }
}

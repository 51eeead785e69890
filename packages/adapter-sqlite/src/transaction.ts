import { abortable, type Operation } from "@tidemark/core/spi";
import type { Database } from "better-sqlite3";
import type { Connection } from "./connection.ts";
import { transactionEnded, translate } from "./errors.ts";
import { Lent } from "./lent.ts";

/**
 * Runs `work` in the transaction that was begun on `connection`, and commits it. When the signal fires the transaction
 * is rolled back at once, because it blocks the file, whatever `work` is still doing.
 */
export async function runLent<T>(
  connection: Connection,
  work: (tx: Database) => Promise<T>,
  op: Operation,
  register: (lent: Lent) => void,
): Promise<T> {
  const lent = new Lent(connection);
  register(lent);
  try {
    const result = await abortable(work(lent.tx), op.signal);
    lent.verify();
    lent.revoke();
    commit(connection);
    return result;
  } catch (error) {
    // What the work committed itself stays, so its error must not look like one of work that left nothing behind.
    if (lent.wasEnded()) throw transactionEnded(error);
    throw error;
  } finally {
    lent.revoke();
  }
}

function commit(connection: Connection): void {
  try {
    connection.run("commit");
  } catch (error) {
    throw translate(error, connection.file);
  }
}

import { isTidemarkError } from "@tidemark/core";
import { abortable, type Operation, throwIfAborted } from "@tidemark/core/spi";
import { pause } from "@tidemark/sql-kit";
import type { QueryResult } from "pg";
import type { Queryable } from "./connection.ts";
import { transactionEnded } from "./errors.ts";
import { Lent } from "./lent.ts";
import { type Checkout, rollback, type Session } from "./session.ts";
import type { Statements } from "./statements.ts";

/** How long a statement of the borrower's may go on after its transaction was given up, before it is ended. */
const GRACE_MS = 100;

/**
 * Begins a transaction, runs `work` in it, and commits. When the signal fires the transaction is rolled back at once,
 * because it may hold readers back, whatever `work` is still doing.
 */
export function runLent<T>(
  session: Session,
  sql: Statements,
  work: (tx: Queryable) => Promise<T>,
  op: Operation,
  register: (lent: Lent) => void,
): Promise<T> {
  return session.hold(op, async (checkout) => {
    const lent = new Lent(checkout);
    const backend = await beginLent(session, lent);
    register(lent);
    try {
      const result = await abortable(work(lent.tx), op.signal).catch((thrown: unknown) => {
        throw checkout.translateThrown(thrown);
      });
      throwIfAborted(op.signal);
      lent.check();
      lent.closeCursors();
      lent.revoke();
      await commit(sql, lent);
      return result;
    } catch (error) {
      lent.closeCursors();
      const ended = await wasEnded(lent);
      lent.revoke();
      await giveUp(session, checkout, backend);
      // What the work committed itself stays, so its error must not look like one of work that left nothing behind.
      throw ended && !isTidemarkError(error, "TRANSACTION_ENDED") ? transactionEnded(error) : error;
    }
  });
}

/** The server's number of the connection. */
async function beginLent(session: Session, lent: Lent): Promise<number> {
  const mark = `select set_config('tidemark_store.mark', '${lent.mark}', true), pg_backend_pid() as pid`;
  const results = await run(lent, `${session.begin()}; ${mark}`);
  const row: unknown = results.at(-1)?.rows[0];
  return (row as { readonly pid: number }).pid;
}

async function commit(sql: Statements, lent: Lent): Promise<void> {
  const results = await run(lent, `${sql.verify}('${lent.mark}'); commit`);
  if (results.at(-1)?.command !== "COMMIT") throw transactionEnded();
}

async function run({ connection, checkout }: Lent, script: string): Promise<readonly QueryResult[]> {
  try {
    return await connection.script(script);
  } catch (error) {
    throw checkout.translate(error);
  }
}

/** Whether the borrower ended the transaction by a statement of its own, and may have committed. */
async function wasEnded(lent: Lent): Promise<boolean> {
  // Not open because the store itself has tried to commit: not the borrower's doing.
  if (!lent.isOpen) return lent.isEnded;
  return (await Promise.race([lent.isGone(), pause(GRACE_MS)])) ?? false;
}

/** Rolls back. A statement that is in the way is ended with its connection. */
async function giveUp(session: Session, checkout: Checkout, backend: number): Promise<void> {
  if (checkout.isIdle === true) return;
  const rolledBack = rollback(checkout.connection).then(() => true);
  if ((await Promise.race([rolledBack, pause(GRACE_MS)])) === true) return;
  checkout.destroy();
  await session.terminate(backend);
}

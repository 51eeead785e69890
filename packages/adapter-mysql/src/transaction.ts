import { isTidemarkError } from "@tidemark/core";
import { abortable, type Operation, throwIfAborted } from "@tidemark/core/spi";
import { pause } from "@tidemark/sql-kit";
import type { Queryable } from "./connection.ts";
import { transactionEnded } from "./errors.ts";
import { Lent } from "./lent.ts";
import { settingsOf } from "./profile.ts";
import { begin, type Checkout, rollback, type Session } from "./session.ts";

/** How long a statement of the borrower's may go on after its transaction was given up, before it is ended. */
const GRACE_MS = 100;
/** How long the server may take to end it. */
const ENDING_MS = 1_000;

/**
 * Begins a transaction, runs `work` in it, and commits. When the signal fires the transaction is rolled back at once,
 * because it may hold readers back, whatever `work` is still doing.
 */
export function runLent<T>(
  session: Session,
  idleSeconds: number,
  work: (tx: Queryable) => Promise<T>,
  op: Operation,
  register: (lent: Lent) => void,
): Promise<T> {
  return session.hold(op, async (checkout) => {
    const lent = new Lent(checkout);
    await beginLent(lent, idleSeconds);
    register(lent);
    try {
      const result = await abortable(work(lent.tx), op.signal).catch((thrown: unknown) => {
        throw checkout.translateThrown(thrown);
      });
      // What nobody awaits is part of it, as a whole.
      await abortable(lent.turns.over(), op.signal);
      throwIfAborted(op.signal);
      lent.check();
      lent.revoke();
      await commit(lent);
      await putBack(checkout);
      return result;
    } catch (error) {
      const ended = await wasEnded(lent);
      lent.revoke();
      await giveUp(session, checkout);
      // It may have left more behind than can be put back, such as locks on tables.
      if (ended || isTidemarkError(error, "TRANSACTION_ENDED")) checkout.destroy();
      // What the work committed itself stays, so its error must not look like one of work that left nothing behind.
      throw ended && !isTidemarkError(error, "TRANSACTION_ENDED") ? transactionEnded(error) : error;
    }
  });
}

/**
 * Without autocommit: after an error the server may have rolled back, and what a borrower who takes no notice does next
 * must not be committed by itself.
 */
async function beginLent({ checkout, connection, mark }: Lent, idleSeconds: number): Promise<void> {
  try {
    await connection.script(`set session autocommit = 0, wait_timeout = ${idleSeconds}`);
    await begin(checkout);
    await connection.script(`savepoint ${mark}`);
  } catch (error) {
    checkout.destroy();
    throw checkout.translate(error);
  }
}

async function commit(lent: Lent): Promise<void> {
  try {
    await lent.release();
    await lent.connection.script("commit");
  } catch (error) {
    throw lent.checkout.translate(error);
  }
}

/** What cannot be set back is closed; the transaction is committed all the same. */
async function putBack(checkout: Checkout): Promise<void> {
  await checkout.connection.script(settingsOf(checkout.profile)).catch(() => checkout.destroy());
}

/** Whether the borrower ended the transaction by a statement of its own, and may have committed. */
async function wasEnded(lent: Lent): Promise<boolean> {
  // Not open for another reason: the server has given it up, or the store itself has tried to commit.
  if (!lent.isOpen) return lent.isEnded;
  return (await Promise.race([lent.isGone(), pause(GRACE_MS)])) ?? false;
}

/** Rolls back. A statement that is in the way is ended with its connection. */
async function giveUp(session: Session, checkout: Checkout): Promise<void> {
  const rolledBack = rollback(checkout)
    .then(() => putBack(checkout))
    .then(() => true);
  if ((await Promise.race([rolledBack, pause(GRACE_MS)])) === true) return;
  checkout.destroy();
  await session.terminate(checkout.client.threadId);
  // Of a connection that is closed from here, the driver would never tell the borrower how the statement has ended.
  await Promise.race([rolledBack, pause(ENDING_MS)]);
}

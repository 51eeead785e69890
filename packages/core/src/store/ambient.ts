import { AsyncLocalStorage } from "node:async_hooks";
import type { Lending } from "../adapter/capabilities.ts";
import { TidemarkError } from "../errors.ts";

/** A transaction that the running code is inside of, as far as is known. */
export interface OpenTransaction {
  /** The log that it is a transaction of. */
  readonly logId: string;
  /** Names what it blocks where transactions block more than aggregates; see `OpenedLog.locks`. */
  readonly locks: string;
  readonly isOpen: () => boolean;
  /** Keys of what it has locked: the aggregates that it has appended to, the actors that it has stored. */
  readonly locked: Set<string>;
}

/**
 * Which transactions the calling code is inside of. This context only detects that a call would wait for its own
 * caller; it never supplies a transaction.
 */
const ambient = new AsyncLocalStorage<readonly OpenTransaction[]>();

// Node before 24 follows contexts from the first use on only: without this one, the first mark would stick to whatever
// the process was doing then, instead of to the caller.
ambient.run([], () => undefined);

/** Runs `work` inside `transaction`. */
export function runInside<T>(transaction: OpenTransaction, work: () => Promise<T>): Promise<T> {
  return ambient.run([...current(), transaction], work);
}

/** Marks what the caller does from here on as inside `transaction`, which it has begun itself. */
export function enterInside(transaction: OpenTransaction): void {
  if (!current().includes(transaction)) ambient.enterWith([...current().filter((open) => open.isOpen()), transaction]);
}

/** What a call is about to do to the database of `logId`. */
export interface Intent {
  readonly call: string;
  readonly logId: string;
  readonly locks: string;
  readonly lending: Lending;
  readonly writes: boolean;
  /** Keys of the aggregates and actors that the call has to lock. */
  readonly keys: readonly string[];
}

/** Throws WOULD_DEADLOCK when the call would wait for a transaction that its own caller holds open. */
export function refuseToWaitForOneself(intent: Intent): void {
  const open = current().filter((transaction) => transaction.isOpen());
  if (open.length === 0) return;
  const blocks = intent.lending === "blocks-all" || (intent.lending === "blocks-writes" && intent.writes);
  const blocked = open.some(
    (transaction) =>
      (blocks && transaction.locks === intent.locks) ||
      (transaction.logId === intent.logId && intent.keys.some((key) => transaction.locked.has(key))),
  );
  if (!blocked) return;
  throw new TidemarkError(
    "WOULD_DEADLOCK",
    `${intent.call} was called inside an open transaction that it would have to wait for. Use what was handed to you ` +
      "with the transaction (store.within(tx), or the context's store and append), or call it after the transaction.",
    { call: intent.call },
  );
}

function current(): readonly OpenTransaction[] {
  return ambient.getStore() ?? [];
}

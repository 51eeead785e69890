import { randomUUID } from "node:crypto";
import type { Database } from "better-sqlite3";
import type { Connection } from "./connection.ts";
import { iteratorClosed, transactionEnded } from "./errors.ts";
import { lendDatabase, type Loan } from "./lent-database.ts";

/**
 * A transaction that was lent to somebody's code, with the facade through which that code uses it. A savepoint with a
 * random name is the mark that dies with the transaction, so a commit or rollback by that code is noticed even when it
 * has begun another transaction since.
 */
export class Lent implements Loan {
  readonly tx: Database;
  readonly connection: Connection;
  readonly #mark = `tidemark_mark_${randomUUID().replaceAll("-", "")}`;
  readonly #iterators = new Set<IterableIterator<unknown>>();
  #state: "open" | "committed-or-rolled-back" | "rolled-back-by-sqlite" | "revoked" = "open";

  constructor(connection: Connection) {
    this.connection = connection;
    connection.db.exec(`savepoint ${this.#mark}`);
    this.tx = lendDatabase(connection.db, this);
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** Whether the borrower ended the transaction by a statement of its own, and may have committed. */
  wasEnded(): boolean {
    if (this.#state === "open") this.#probe();
    return this.#state === "committed-or-rolled-back";
  }

  /** Throws TRANSACTION_ENDED once the transaction is over. */
  check(): void {
    // A statement of our own failed in a way that makes SQLite roll back everything: a full disk, a trigger's raise.
    if (!this.connection.db.inTransaction) this.#end("rolled-back-by-sqlite");
    if (this.#state !== "open") throw transactionEnded();
  }

  /** Runs one call of the borrower. When it ends the transaction, the next one is refused: it would commit by itself. */
  guard<T>(call: () => T): T {
    this.check();
    try {
      const result = call();
      if (!this.connection.db.inTransaction) this.#end("committed-or-rolled-back");
      return result;
    } catch (error) {
      if (!this.connection.db.inTransaction) this.#end("rolled-back-by-sqlite");
      throw error;
    }
  }

  /** Throws TRANSACTION_ENDED unless this is still the transaction that was lent. */
  verify(): void {
    if (this.#state === "open") this.#probe();
    this.check();
  }

  /** For our own statements: the driver writes nothing while an iterator is open. */
  closeIterators(): void {
    for (const iterator of this.#iterators) iterator.return?.();
    this.#iterators.clear();
  }

  /** From here on every call through the facade is refused. */
  revoke(): void {
    this.closeIterators();
    this.#end("revoked");
  }

  /**
   * An iterator that is left open would keep the connection from writing and committing. One that we closed says so
   * when it is asked for more: ending it there would look as if there were no more rows.
   */
  track(iterator: IterableIterator<unknown>): IterableIterator<unknown> {
    this.#iterators.add(iterator);
    let done = false;
    return {
      next: () => {
        if (!done && this.isOpen && !this.#iterators.has(iterator)) throw iteratorClosed();
        const result = this.guard(() => iterator.next());
        if (result.done === true) done = true;
        if (done) this.#iterators.delete(iterator);
        return result;
      },
      return: (value: unknown) => {
        done = true;
        this.#iterators.delete(iterator);
        return iterator.return?.(value) ?? { done: true, value };
      },
      [Symbol.iterator]() {
        return this;
      },
    };
  }

  #probe(): void {
    this.closeIterators();
    try {
      this.connection.db.exec(`release ${this.#mark}; savepoint ${this.#mark}`);
    } catch {
      this.#end("committed-or-rolled-back");
    }
  }

  #end(state: "committed-or-rolled-back" | "rolled-back-by-sqlite" | "revoked"): void {
    if (this.#state === "open") this.#state = state;
  }
}

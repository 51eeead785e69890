import { randomUUID } from "node:crypto";
import type { Database } from "better-sqlite3";
import type { Connection } from "./connection.ts";
import { transactionEnded } from "./errors.ts";
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

  /** From here on every call through the facade is refused. */
  revoke(): void {
    this.#closeIterators();
    this.#end("revoked");
  }

  /** An iterator that is left open would keep the connection from writing and committing. */
  track(iterator: IterableIterator<unknown>): IterableIterator<unknown> {
    this.#iterators.add(iterator);
    return {
      next: () => {
        const result = this.guard(() => iterator.next());
        if (result.done === true) this.#iterators.delete(iterator);
        return result;
      },
      return: (value: unknown) => {
        this.#iterators.delete(iterator);
        return iterator.return?.(value) ?? { done: true, value };
      },
      [Symbol.iterator]() {
        return this;
      },
    };
  }

  #probe(): void {
    this.#closeIterators();
    try {
      this.connection.db.exec(`release ${this.#mark}; savepoint ${this.#mark}`);
    } catch {
      this.#end("committed-or-rolled-back");
    }
  }

  #closeIterators(): void {
    for (const iterator of this.#iterators) iterator.return?.();
    this.#iterators.clear();
  }

  #end(state: "committed-or-rolled-back" | "rolled-back-by-sqlite" | "revoked"): void {
    if (this.#state === "open") this.#state = state;
  }
}

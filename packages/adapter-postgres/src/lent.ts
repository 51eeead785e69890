import { randomUUID } from "node:crypto";
import type { ClientBase, Submittable } from "pg";
import type { Connection, Queryable } from "./connection.ts";
import { transactionEnded } from "./errors.ts";
import type { Checkout } from "./session.ts";

/**
 * A transaction that was lent to somebody's code, with the facade through which that code uses it. A local setting with
 * a random value is the mark that dies with the transaction, so a commit or rollback by that code is noticed even when
 * it has begun another transaction since.
 */
export class Lent {
  readonly tx: Queryable;
  readonly mark: string = randomUUID();
  /**
   * For what the store does in the transaction, which is refused as what the borrower does is, once that is over: somebody
   * who was half-way when the signal fired would go on in whatever the connection is used for by then.
   */
  readonly guarded: Connection;
  readonly #checkout: Checkout;
  readonly #cursors = new Set<Submittable>();
  #state: "open" | "ended" | "revoked" = "open";

  constructor(checkout: Checkout) {
    this.#checkout = checkout;
    this.tx = lendClient(checkout.client, (query) => {
      this.check();
      if (isSubmittable(query)) this.#cursors.add(query);
    });
    this.guarded = checkout.through(this.tx);
  }

  get isOpen(): boolean {
    if (this.#state === "open" && this.#checkout.isIdle === true) this.#state = "ended";
    return this.#state === "open";
  }

  /** Whether it is known that the borrower has ended it. */
  get isEnded(): boolean {
    return !this.isOpen && this.#state === "ended";
  }

  get connection(): Connection {
    return this.#checkout.connection;
  }

  get checkout(): Checkout {
    return this.#checkout;
  }

  /** Throws TRANSACTION_ENDED once the transaction is known to be over: what follows would commit by itself. */
  check(): void {
    if (!this.isOpen) throw transactionEnded();
  }

  /**
   * Whether the borrower has ended it. Undefined when it cannot be asked: in a transaction that has failed, or on a
   * connection that is lost.
   */
  async isGone(): Promise<boolean | undefined> {
    try {
      const results = await this.connection.script("select current_setting('tidemark_store.mark', true) as mark");
      const row: unknown = results.at(-1)?.rows[0];
      return (row as { readonly mark: string | null }).mark !== this.mark;
    } catch {
      return undefined;
    }
  }

  /** What the borrower has left open: until a cursor is closed, the connection runs no other statement. */
  closeCursors(): void {
    for (const cursor of this.#cursors) closeCursor(cursor);
    this.#cursors.clear();
  }

  /** From here on every call through the facade is refused. */
  revoke(): void {
    if (this.#state === "open") this.#state = "revoked";
  }
}

/** The client, of which only statements are lent: what it is connected to, and for how long, is not the borrower's. */
function lendClient(client: ClientBase, check: (query: unknown) => void): Queryable {
  const query = (...args: readonly unknown[]): unknown => {
    try {
      check(args[0]);
    } catch (error) {
      // A query that is an object of its own, such as a cursor, is not a promise that could be rejected.
      if (isSubmittable(args[0])) throw error;
      const callback = args.at(-1);
      if (!isCallback(callback)) return Promise.reject(error);
      queueMicrotask(() => callback(error));
      return undefined;
    }
    return Reflect.apply(client.query, client, args);
  };
  return Object.freeze({ query: asQuery(query) });
}

function isSubmittable(query: unknown): query is Submittable {
  return typeof query === "object" && query !== null && "submit" in query && typeof query.submit === "function";
}

function isCallback(value: unknown): value is (error: unknown) => void {
  return typeof value === "function";
}

/** A cursor is closed, a stream of rows destroyed; one that has ended already does not mind. */
function closeCursor(cursor: Submittable): void {
  const { close, destroy } = asOpen(cursor);
  if (close !== undefined) close.call(cursor, () => undefined);
  else destroy?.call(cursor);
}

interface Open {
  close?(done: () => void): void;
  destroy?(): void;
}

/** What is known by its habits only: the classes of pg-cursor and pg-query-stream. */
function asOpen(cursor: object): Open {
  return cursor;
}

function asQuery(query: unknown): ClientBase["query"] {
  return query as ClientBase["query"];
}

import { isTidemarkError } from "@tidemark/core";
import { abortable, type Operation, throwIfAborted } from "@tidemark/core/spi";
import { insist } from "@tidemark/sql-kit";
import type { Pool, PoolClient } from "pg";
import { Connection, type Queryable, statusOf } from "./connection.ts";
import { translate, translateThrown } from "./driver-errors.ts";
import { transactionEnded, waitedForConnection } from "./errors.ts";
import { connectionBeside } from "./pool.ts";

/** How long a caller waits to have somebody's connection ended. */
const TERMINATE_MS = 2_000;
/** The number of a connection that has ended meanwhile may be that of a younger one, which is somebody else's. */
const TERMINATE =
  "select pg_terminate_backend(pid) from pg_stat_activity " +
  "where pid = $1 and backend_start < clock_timestamp() - make_interval(secs => $2)";
export interface SessionOptions {
  /** How long a call waits for a connection of the pool, and for a lock, in milliseconds. */
  readonly waitMs: number;
  /** After how long without a statement the server gives up a transaction of ours, in milliseconds. */
  readonly idleInTransactionMs: number;
  readonly prepare: boolean;
  /**
   * Whether calls of which the signal fires end only when their connection is free: whoever counts calls that are under way,
   * as core does with appends, counts connections.
   */
  readonly endsWhenFree: boolean;
}

/** What runs in a transaction that is open already, which looks from inside as a session does. */
export type OpenSession = Pick<Session, "read" | "write">;

/** The same outside of a transaction: each call is one of its own. */
export function eachAlone(session: () => Session): OpenSession {
  return {
    read: (op, work) => session().read(op, work),
    write: (op, work) => session().write(op, work),
  };
}

/** The pool as the adapter uses it: a connection for each call, given back when its work is done. */
export class Session {
  readonly #pool: Pool;
  readonly #options: SessionOptions;
  /** Whether statements outside of a transaction would run under another level than READ COMMITTED. */
  #frames = false;

  constructor(pool: Pool, options: SessionOptions) {
    this.#pool = pool;
    this.#options = options;
  }

  /** From here on statements by themselves run in a READ COMMITTED transaction, whatever the connection's default is. */
  frame(): void {
    this.#frames = true;
  }

  /** Runs `work` outside of any transaction: each statement is one, and sees what is committed when it begins. */
  read<T>(op: Operation, work: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#frames ? this.write(op, work) : this.#connected(op, ({ connection }) => work(connection));
  }

  /** As `read`, for one statement that writes. */
  autocommit<T>(op: Operation, work: (connection: Connection) => Promise<T>): Promise<T> {
    return this.read(op, work);
  }

  /** Runs `work` in a transaction and commits it. What it waits for, it waits for as long as calls may wait. */
  write<T>(op: Operation, work: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#connected(op, async ({ connection }) => {
      throwIfAborted(op.signal);
      await connection.script(`${this.begin()}; set local lock_timeout = ${this.#options.waitMs}`);
      try {
        const value = await work(connection);
        throwIfAborted(op.signal);
        await commit(connection);
        return value;
      } catch (error) {
        await rollback(connection);
        throw error;
      }
    });
  }

  /** Lends a connection outside of any transaction. It is closed, not given back, when it is left inside of one. */
  async hold<T>(op: Operation, work: (checkout: Checkout) => Promise<T>): Promise<T> {
    const checkout = await this.#checkOut(op);
    try {
      return await work(checkout);
    } finally {
      checkout.giveBack();
    }
  }

  /** The beginning of every transaction of ours. */
  begin(): string {
    const { idleInTransactionMs } = this.#options;
    return `begin isolation level read committed; set local idle_in_transaction_session_timeout = ${idleInTransactionMs}`;
  }

  /**
   * Ends another connection with what it is doing, over one beside the pool, which may have none to spare. To cancel its
   * statement would not do: one that the server has not begun yet would begin afterwards.
   */
  async terminate(backend: number): Promise<void> {
    const since = performance.now();
    await insist(async () => {
      const client = connectionBeside(this.#pool);
      client.on("error", () => undefined);
      try {
        await client.connect();
        await client.query(TERMINATE, [backend, (performance.now() - since) / 1_000]);
      } finally {
        void client.end().catch(() => undefined);
      }
    }, TERMINATE_MS);
  }

  /** Unless it is waited for, the work goes on unobserved when the signal fires, and then gives the connection back. */
  async #connected<T>(op: Operation, work: (checkout: Checkout) => Promise<T>): Promise<T> {
    throwIfAborted(op.signal);
    const signal = this.#options.endsWhenFree ? undefined : op.signal;
    const done = this.hold({ signal }, async (checkout) => {
      try {
        return await work(checkout);
      } catch (error) {
        throw checkout.translate(error);
      }
    });
    return abortable(done, signal);
  }

  /** What is wrong with the pool's configuration is thrown by the pool at once. */
  async #connect(): Promise<PoolClient> {
    return this.#pool.connect();
  }

  async #checkOut(op: Operation): Promise<Checkout> {
    throwIfAborted(op.signal);
    const { waitMs, prepare } = this.#options;
    const connecting = this.#connect();
    let timer: NodeJS.Timeout | undefined;
    try {
      const late = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(waitedForConnection(this.#pool, waitMs)), waitMs);
      });
      const client = await abortable(Promise.race([connecting, late]), op.signal);
      return new Checkout(client, prepare, this.#options);
    } catch (error) {
      connecting.then((client) => client.release()).catch(() => undefined);
      throw translate(error, this.#options);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** A client of the pool while it is ours. */
export class Checkout {
  readonly client: PoolClient;
  readonly connection: Connection;
  readonly #options: SessionOptions;
  /** Why the connection was lost, as the server said it while nothing was asked of it. */
  #lost: Error | undefined;
  #broken = false;
  readonly #onError = (error: Error): void => {
    this.#lost ??= error;
  };

  constructor(client: PoolClient, prepare: boolean, options: SessionOptions) {
    this.client = client;
    this.connection = new Connection(client, prepare);
    this.#options = options;
    // Without a listener a lost connection would end the process.
    client.on("error", this.#onError);
  }

  /** The same connection through something that looks like its client. */
  through(client: Queryable): Connection {
    return new Connection(client, this.#options.prepare);
  }

  /** Whether the server has told, when it answered last, that no transaction is open. Undefined: not known. */
  get isIdle(): boolean | undefined {
    const status = statusOf(this.client);
    return status === undefined ? undefined : status === "I";
  }

  translate(error: unknown): unknown {
    return this.#judge(error, translate(error, this.#options, this.#lost));
  }

  /** Of what the work of a borrower has thrown. */
  translateThrown(thrown: unknown): unknown {
    return this.#judge(thrown, translateThrown(thrown, this.#options, this.#lost));
  }

  /** A server that is of no use now, such as a standby, may be another one for the next connection. */
  #judge(error: unknown, known: unknown): unknown {
    if (known !== error && isTidemarkError(known, "UNAVAILABLE")) this.destroy();
    return known;
  }

  /** Closes the connection instead of giving it back. */
  destroy(): void {
    this.#broken = true;
  }

  giveBack(): void {
    const unusable = this.#broken || this.#lost !== undefined || this.isIdle === false;
    this.client.release(unusable);
    // A connection that is closed may still have something to say about it.
    if (!unusable) this.client.off("error", this.#onError);
  }
}

/** Throws TRANSACTION_ENDED when the server has rolled back instead, as it does with a transaction that has failed. */
async function commit(connection: Connection): Promise<void> {
  const results = await connection.script("commit");
  if (results.at(-1)?.command !== "COMMIT") throw transactionEnded();
}

/** Whatever went wrong before matters more than why this fails; a connection in doubt is not given back. */
export async function rollback(connection: Connection): Promise<void> {
  await connection.script("rollback").catch(() => undefined);
}

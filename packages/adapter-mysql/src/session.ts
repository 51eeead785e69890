import { isTidemarkError } from "@tidemark/core";
import { abortable, type Operation, throwIfAborted } from "@tidemark/core/spi";
import { insist, pause } from "@tidemark/sql-kit";
import { createConnection, type Pool, type PoolConnection, type PoolOptions } from "mysql2/promise";
import { Connection, isOpenAfter } from "./connection.ts";
import { isDeadlock, isOfLoss, isOfNobody, translate, translateThrown } from "./driver-errors.ts";
import { idledTooLong, leftOpen, poolExhausted } from "./errors.ts";
import type { Ordering } from "./options.ts";
import { roomIn } from "./pieces.ts";
import { type Patience, resetsOnRelease, secondsOf } from "./pool.ts";
import { checkFlags, NEEDED_OF_POOLS, type Profile, readProfile, setProfile } from "./profile.ts";
import type { Statements } from "./statements.ts";

/** How long a caller waits to have somebody's connection ended. */
const TERMINATE_MS = 2_000;
/** How often work of ours is repeated that the server has given up in favour of somebody else's. */
const ATTEMPTS = 10;
/** How much longer than the last time it waits before, at most. */
const BACK_OFF_MS = 20;

export interface SessionOptions extends Patience {
  readonly sql: Statements;
  readonly ordering: Ordering;
  /** Whether the connections are the store's own, so that their settings are. */
  readonly isOwn: boolean;
  /** Whether they take several statements at once, which those that are lent do not. */
  readonly takesScripts: boolean;
  /**
   * Whether calls of which the signal fires end only when their connection is free: whoever counts calls that are under way,
   * as core does with appends, counts connections.
   */
  readonly endsWhenFree: boolean;
  /** What a connection beside the pool is made with. */
  readonly config: PoolOptions;
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
  /** By the driver's connection, which the pool wraps anew each time. */
  readonly #profiles = new WeakMap<object, Profile>();
  /** Whether the pool sets sessions back to the server's defaults when it gets them back. */
  readonly #forgets: boolean;

  constructor(pool: Pool, options: SessionOptions) {
    this.#pool = pool;
    this.#options = options;
    this.#forgets = resetsOnRelease(pool);
  }

  /**
   * Runs `work` outside of any transaction: each statement is one, and sees what is committed when it begins. Of a script
   * that has failed, the isolation that it set for its next statement would be that of somebody else's. In a transaction
   * that somebody has left open it would see what that has seen and written.
   */
  read<T>(op: Operation, work: (connection: Connection) => Promise<T>): Promise<T> {
    const { isOwn } = this.#options;
    return this.#connected(op, async (checkout) => {
      if (!isOwn && !this.#forgets) await checkOver(checkout);
      try {
        return await work(checkout.connection);
      } catch (error) {
        if (this.#options.takesScripts) checkout.destroy();
        throw error;
      }
    });
  }

  /** As `read`, for statements that write, each by itself. */
  autocommit<T>(op: Operation, work: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#connected(op, async (checkout) => {
      const value = await persistently(op, () => work(checkout.connection));
      if (!checkout.connection.isBegun) return value;
      // It is a part of what somebody has left behind, and goes with it.
      checkout.destroy();
      throw leftOpen();
    });
  }

  /** Runs `work` in a READ COMMITTED transaction and commits it; again, when the server gave it up for another one. */
  write<T>(op: Operation, work: (connection: Connection, profile: Profile) => Promise<T>): Promise<T> {
    return this.#connected(op, (checkout) =>
      persistently(op, async () => {
        const { connection, profile } = checkout;
        throwIfAborted(op.signal);
        await begin(checkout);
        try {
          const value = await work(connection, profile);
          // It may have been committed together with what was written last.
          if (!connection.isBegun) return value;
          throwIfAborted(op.signal);
          await connection.script("commit");
          return value;
        } catch (error) {
          await rollback(checkout);
          throw error;
        }
      }),
    );
  }

  /** Lends a connection outside of any transaction. It is closed, not given back, when it is in doubt. */
  async hold<T>(op: Operation, work: (checkout: Checkout) => Promise<T>): Promise<T> {
    const checkout = await this.#checkOut(op);
    try {
      return await work(checkout);
    } finally {
      checkout.giveBack();
    }
  }

  /**
   * Ends another connection with what it is doing, over one beside the pool, which may have none to spare. To cancel its
   * statement would not do: one that the server has not begun yet would begin afterwards.
   */
  async terminate(threadId: number): Promise<void> {
    await insist(async () => {
      const connection = await createConnection(this.#options.config);
      connection.on("error", () => undefined);
      try {
        await connection.query(`kill ${threadId}`).catch((error: unknown) => {
          if (!isOfNobody(error)) throw error;
        });
      } finally {
        void connection.end().catch(() => undefined);
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

  async #checkOut(op: Operation): Promise<Checkout> {
    throwIfAborted(op.signal);
    const { waitMs } = this.#options;
    const connecting = this.#pool.getConnection();
    let timer: NodeJS.Timeout | undefined;
    try {
      const late = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(poolExhausted(waitMs)), waitMs);
      });
      const client = await abortable(Promise.race([connecting, late]), op.signal);
      return await this.#know(client);
    } catch (error) {
      connecting.then((client) => client.release()).catch(() => undefined);
      throw translate(error, this.#options);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sets a connection that is seen for the first time, or looks how its owner has set it. */
  async #know(client: PoolConnection): Promise<Checkout> {
    const known = this.#profiles.get(client.connection);
    if (known !== undefined) return new Checkout(client, known, this.#options);
    try {
      const profile = await this.#prepare(client);
      if (!this.#forgets) this.#profiles.set(client.connection, profile);
      return new Checkout(client, profile, this.#options);
    } catch (error) {
      client.destroy();
      throw error;
    }
  }

  async #prepare(client: PoolConnection): Promise<Profile> {
    const { sql, isOwn, ordering } = this.#options;
    const connection = new Connection(client);
    checkFlags(client, "lent");
    if (isOwn) return setProfile(connection, sql, settingsFor(this.#options));
    return readProfile(connection, sql, ordering === "counter", NEEDED_OF_POOLS);
  }
}

/** Refuses a connection of somebody's pool on which a transaction is open. */
async function checkOver(checkout: Checkout): Promise<void> {
  if (!isOpenAfter(await checkout.connection.script("do 0"))) return;
  checkout.destroy();
  throw leftOpen();
}

/** Whole seconds: the servers know no others. */
function settingsFor({ waitMs, idleInTransactionMs }: SessionOptions): {
  waitTimeout: number;
  lockWaitTimeout: number;
} {
  return { waitTimeout: secondsOf(idleInTransactionMs), lockWaitTimeout: secondsOf(waitMs) };
}

/** After a while that grows: of those who are in each other's way on several nodes of a cluster, each commits once in a while. */
async function persistently<T>(op: Operation, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === ATTEMPTS || !isDeadlock(error) || op.signal?.aborted === true) throw error;
      await pause(Math.random() * BACK_OFF_MS * (attempt - 1));
    }
  }
}

/** A connection of the pool while it is ours. */
export class Checkout {
  readonly client: PoolConnection;
  readonly connection: Connection;
  readonly profile: Profile;
  readonly #options: SessionOptions;
  /** Why the connection was lost, as the server said it while nothing was asked of it. */
  #lost: Error | undefined;
  #broken = false;
  readonly #onError = (error: Error): void => {
    this.#lost ??= this.#hasIdled() ? idledTooLong(this.#options.idleInTransactionMs, error) : error;
  };

  constructor(client: PoolConnection, profile: Profile, options: SessionOptions) {
    this.client = client;
    this.connection = new Connection(client, options.takesScripts ? roomIn(profile) : 0);
    this.profile = profile;
    this.#options = options;
    client.on("error", this.#onError);
  }

  /** Whether the server has had the reason to close the connection that MariaDB does not tell. */
  #hasIdled(idledMs = performance.now() - this.connection.answeredAt): boolean {
    return idledMs >= 900 * secondsOf(this.#options.idleInTransactionMs);
  }

  translate(error: unknown): unknown {
    return this.#judge(error, translate(error, this.#options, this.#lossBehind(error)));
  }

  /** Of what the work of a borrower has thrown. */
  translateThrown(thrown: unknown): unknown {
    return this.#judge(thrown, translateThrown(thrown, this.#options, this.#lossBehind(thrown)));
  }

  /** Where the whole process stood still, the loss is the answer to the next statement. */
  #lossBehind(error: unknown): Error | undefined {
    const isLost = this.#lost === undefined && isOfLoss(error) && this.#hasIdled(this.connection.idledMs);
    return isLost ? idledTooLong(this.#options.idleInTransactionMs, error) : this.#lost;
  }

  /** A server that is of no use now, such as a replica, may be another one for the next connection. */
  #judge(error: unknown, known: unknown): unknown {
    if (known !== error && isTidemarkError(known, "UNAVAILABLE")) this.destroy();
    return known;
  }

  /** Closes the connection instead of giving it back. */
  destroy(): void {
    this.#broken = true;
  }

  giveBack(): void {
    this.client.off("error", this.#onError);
    if (this.#broken || this.#lost !== undefined) this.client.destroy();
    else this.client.release();
  }
}

/**
 * The beginning of every transaction of ours. Sessions of others may be set otherwise each time. To set them fails where
 * somebody has left a transaction open, which to begin another one would commit.
 */
export async function begin(checkout: Checkout): Promise<void> {
  const { connection, profile } = checkout;
  try {
    if (!profile.isReadCommitted) await connection.script("set transaction isolation level read committed, read write");
    await connection.scriptBefore("start transaction");
  } catch (error) {
    checkout.destroy();
    throw error;
  }
}

/** Whatever went wrong before matters more than why this fails; a connection in doubt is not given back. */
export async function rollback(checkout: Checkout): Promise<void> {
  await checkout.connection.script("rollback").catch(() => checkout.destroy());
}

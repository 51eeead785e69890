import { aborted, type Operation, sleep, throwIfAborted } from "@tidemark/core/spi";
import type { Connection } from "./connection.ts";
import { busy, isBusy, translate, unusable } from "./errors.ts";

/** The writer's and the reader's session, which are the same one where there is only one connection. */
export interface Sessions {
  readonly reader: Session;
  readonly writer: Session;
}

/** What runs in a transaction that is open already, which looks from inside as a session does. */
export type OpenSession = Pick<Session, "read" | "write">;

/** The same outside of a transaction: each call is one of its own. */
export function eachAlone(sessions: () => Sessions): OpenSession {
  return {
    read: (op, work) => sessions().reader.read(op, work),
    write: (op, work) => sessions().writer.write(op, work),
  };
}

interface Done<T> {
  readonly value: T;
}

/** Who has kept the file locked for longer than this leaves it free for longer than anybody pauses. */
const LONG_TRANSACTION_MS = 20;
const FREE_MS = 10;

/**
 * A connection and the queue in front of it: first in, first out within the process. For locks that somebody outside
 * holds it asks again and again, with the event loop free in between, for `waitMs` at most.
 *
 * SQLite has no queue for those outside, and whoever writes without pause, such as a consumer that catches up, would
 * leave them no moment to ask in. After a long transaction the file therefore stays free for a while before this
 * session writes again. Short ones go on at once: they leave many moments.
 */
export class Session {
  readonly connection: Connection;
  readonly #waitMs: number;
  readonly #waiting = new Set<() => void>();
  #taken = false;
  #freeUntil = 0;
  /** Since when every attempt of this session has failed: who queued meanwhile has been waiting for that lock too. */
  #lockedSince: number | undefined;

  constructor(connection: Connection, waitMs: number) {
    this.connection = connection;
    this.#waitMs = waitMs;
  }

  /** Runs `work` in a read transaction: everything that it reads is of one moment. */
  read<T>(op: Operation, work: (connection: Connection) => T): Promise<T> {
    return this.#inTurn(op, (askedAt) => this.#persist(() => this.#transact("begin", work), askedAt, op));
  }

  /** Runs `work` without transaction and without queueing, in the middle of a lent transaction if there is one. */
  glance<T>(op: Operation, work: (connection: Connection) => T): Promise<T> {
    return this.#persist(() => attempt(this.connection, () => work(this.connection)), performance.now(), op);
  }

  /** Runs `work` in a write transaction and commits. */
  write<T>(op: Operation, work: (connection: Connection) => T): Promise<T> {
    return this.#inTurn(op, async (askedAt) => {
      if (this.#isLeftFree()) await this.#rest(op);
      return this.#persist(() => this.#measured(() => this.#transact("begin immediate", work)), askedAt, op);
    });
  }

  /** As `write`, but undefined when that would have to wait. */
  writeAtOnce<T>(work: (connection: Connection) => T): Done<T> | undefined {
    return this.#taken ? undefined : this.#transact("begin immediate", work);
  }

  /** Begins a write transaction for `work`, which commits it. What is left open is rolled back. */
  hold<T>(op: Operation, work: (connection: Connection) => Promise<T>): Promise<T> {
    const { connection } = this;
    return this.#inTurn(op, async (askedAt) => {
      if (this.#isLeftFree()) await this.#rest(op);
      await this.#persist(() => this.#begin("begin immediate"), askedAt, op);
      const begunAt = performance.now();
      try {
        return await work(connection);
      } finally {
        if (connection.db.inTransaction) connection.run("rollback");
        this.#leaveFreeAfter(begunAt);
      }
    });
  }

  /** For what is no transaction, such as a change of the journal mode. */
  outside<T>(op: Operation, work: (connection: Connection) => T): Promise<T> {
    return this.#inTurn(op, (askedAt) =>
      this.#persist(() => attempt(this.connection, () => work(this.connection)), askedAt, op),
    );
  }

  async #inTurn<T>(op: Operation, work: (askedAt: number) => Promise<T>): Promise<T> {
    throwIfAborted(op.signal);
    const askedAt = performance.now();
    if (this.#taken) await this.#queue(op.signal);
    this.#taken = true;
    try {
      return await work(askedAt);
    } finally {
      this.#passOn();
    }
  }

  #queue(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const begin = (): void => {
        signal?.removeEventListener("abort", giveUp);
        resolve();
      };
      const giveUp = (): void => {
        // Whose turn has come already passes it on himself, when his work finds the signal aborted.
        if (this.#waiting.delete(begin) && signal !== undefined) reject(aborted(signal));
      };
      this.#waiting.add(begin);
      signal?.addEventListener("abort", giveUp, { once: true });
    });
  }

  /** Through the event loop, so that other processes find the file unlocked for a moment. */
  #passOn(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#taken = false;
      return;
    }
    this.#waiting.delete(next);
    setImmediate(next);
  }

  #isLeftFree(): boolean {
    return performance.now() < this.#freeUntil;
  }

  #rest(op: Operation): Promise<void> {
    return sleep(this.#freeUntil - performance.now(), op.signal);
  }

  #measured<T>(transact: () => T): T {
    const begunAt = performance.now();
    try {
      return transact();
    } finally {
      this.#leaveFreeAfter(begunAt);
    }
  }

  /** Nobody outside waits for a database in memory. */
  #leaveFreeAfter(begunAt: number): void {
    const endedAt = performance.now();
    if (endedAt - begunAt > LONG_TRANSACTION_MS && !this.connection.db.memory) this.#freeUntil = endedAt + FREE_MS;
  }

  async #persist<T>(tryIt: () => Done<T> | undefined, askedAt: number, op: Operation): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      throwIfAborted(op.signal);
      const done = tryIt();
      if (done !== undefined) {
        this.#lockedSince = undefined;
        return done.value;
      }
      const now = performance.now();
      this.#lockedSince ??= now;
      const waitedMs = now - Math.max(askedAt, this.#lockedSince);
      if (waitedMs >= this.#waitMs) throw busy(waitedMs);
      await pause(attempt, op.signal);
    }
  }

  #transact<T>(begin: string, work: (connection: Connection) => T): Done<T> | undefined {
    const { connection } = this;
    if (this.#begin(begin) === undefined) return undefined;
    try {
      return attempt(connection, () => {
        const value = work(connection);
        connection.run("commit");
        return value;
      });
    } finally {
      if (connection.db.inTransaction) connection.run("rollback");
    }
  }

  /** Undefined also while the owner of a borrowed connection has a transaction open on it. */
  #begin(begin: string): Done<void> | undefined {
    const { db } = this.connection;
    if (!db.open) throw unusable("The database handle was closed. Open it again, and the store with it.");
    if (db.inTransaction) return undefined;
    return attempt(this.connection, () => void this.connection.run(begin));
  }
}

/** Between two attempts to get a lock: 1 to 3 ms, later 5; at random, so that those who wait do not ask in step. */
export function pause(attempt: number, signal: AbortSignal | undefined): Promise<void> {
  const longest = Math.min(3 + attempt / 2, 5);
  return sleep(1 + Math.random() * (longest - 1), signal);
}

/** Undefined when somebody else has the lock. */
function attempt<T>({ file }: Connection, work: () => T): Done<T> | undefined {
  try {
    return { value: work() };
  } catch (error) {
    if (isBusy(error)) return undefined;
    throw translate(error, file);
  }
}

import { aborted, type Operation, sleep, throwIfAborted } from "@tidemark/core/spi";
import type { Connection } from "./connection.ts";
import { busy, isBusy, translate, unusable } from "./errors.ts";

/** The writer's and the reader's session, which are the same one where there is only one connection. */
export interface Sessions {
  readonly reader: Session;
  readonly writer: Session;
}

interface Done<T> {
  readonly value: T;
}

const SHORTEST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 20;

/**
 * A connection and the queue in front of it: first in, first out within the process. For locks that somebody outside
 * holds it asks again and again, with the event loop free in between, for `waitMs` at most.
 */
export class Session {
  readonly connection: Connection;
  readonly #waitMs: number;
  readonly #waiting = new Set<() => void>();
  #taken = false;
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
    return this.#persist(() => attempt(() => work(this.connection)), performance.now(), op);
  }

  /** Runs `work` in a write transaction and commits. */
  write<T>(op: Operation, work: (connection: Connection) => T): Promise<T> {
    return this.#inTurn(op, (askedAt) => this.#persist(() => this.#transact("begin immediate", work), askedAt, op));
  }

  /** As `write`, but undefined when that would have to wait. */
  writeAtOnce<T>(work: (connection: Connection) => T): Done<T> | undefined {
    return this.#taken ? undefined : this.#transact("begin immediate", work);
  }

  /** Begins a write transaction for `work`, which commits it. What is left open is rolled back. */
  hold<T>(op: Operation, work: (connection: Connection) => Promise<T>): Promise<T> {
    const { connection } = this;
    return this.#inTurn(op, async (askedAt) => {
      await this.#persist(() => this.#begin("begin immediate"), askedAt, op);
      try {
        return await work(connection);
      } finally {
        if (connection.db.inTransaction) connection.run("rollback");
      }
    });
  }

  /** For what is no transaction, such as a change of the journal mode. */
  outside<T>(op: Operation, work: (connection: Connection) => T): Promise<T> {
    return this.#inTurn(op, (askedAt) => this.#persist(() => attempt(() => work(this.connection)), askedAt, op));
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

  async #persist<T>(tryIt: () => Done<T> | undefined, askedAt: number, op: Operation): Promise<T> {
    for (let longest = SHORTEST_PAUSE_MS; ; longest = Math.min(longest * 2, LONGEST_PAUSE_MS)) {
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
      await sleep(SHORTEST_PAUSE_MS + Math.random() * (longest - SHORTEST_PAUSE_MS), op.signal);
    }
  }

  #transact<T>(begin: string, work: (connection: Connection) => T): Done<T> | undefined {
    const { connection } = this;
    if (this.#begin(begin) === undefined) return undefined;
    try {
      return attempt(() => {
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
    return attempt(() => void this.connection.run(begin));
  }
}

/** Undefined when somebody else has the lock. */
function attempt<T>(work: () => T): Done<T> | undefined {
  try {
    return { value: work() };
  } catch (error) {
    if (isBusy(error)) return undefined;
    throw translate(error);
  }
}

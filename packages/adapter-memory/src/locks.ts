import { aborted, type Operation, throwIfAborted } from "@tidemark/core/spi";
import { deadlock, transactionEnded } from "./errors.ts";

/** Who holds row locks and waits for them: a transaction. */
export interface LockOwner {
  /** Kept by the locks. One at most: a transaction runs one statement at a time. */
  waitsFor: RowLock | undefined;
}

interface Waiter {
  readonly grant: () => void;
  readonly refuse: (error: unknown) => void;
}

/** The exclusive lock of one row. */
export class RowLock {
  #holder: LockOwner | undefined;
  /** A Map keeps the order in which it was filled: first come, first served. */
  readonly #queue = new Map<LockOwner, Waiter>();

  get holder(): LockOwner | undefined {
    return this.#holder;
  }

  /** Takes the lock if that needs no waiting. True as well for who holds it already. */
  tryTake(owner: LockOwner): boolean {
    this.#holder ??= owner;
    return this.#holder === owner;
  }

  /** Takes the lock, after everyone who asked before. Rejects with CONTENTION at once if that would never end. */
  async take(owner: LockOwner, op: Operation): Promise<void> {
    if (this.tryTake(owner)) return;
    throwIfAborted(op.signal);
    if (this.#waitsIndirectlyFor(owner)) throw deadlock();
    await this.#wait(owner, op.signal);
  }

  /** The owner's transaction is over: ends its waiting, or hands the lock on. */
  leave(owner: LockOwner): void {
    this.#queue.get(owner)?.refuse(transactionEnded());
    if (this.#holder !== owner) return;
    const [next] = this.#queue;
    this.#holder = next?.[0];
    next?.[1].grant();
  }

  /**
   * Follows who waits for whom, from holder to holder; those in between wait for the same row and for nothing else.
   * Only a new waiter can close a circle, so looking once, before each wait, is enough.
   */
  #waitsIndirectlyFor(owner: LockOwner): boolean {
    for (let holder = this.#holder; holder !== undefined; holder = holder.waitsFor?.holder) {
      if (holder === owner) return true;
    }
    return false;
  }

  #wait(owner: LockOwner, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const stopWaiting = (): void => {
        signal?.removeEventListener("abort", onAbort);
        this.#queue.delete(owner);
        owner.waitsFor = undefined;
      };
      const refuse = (error: unknown): void => {
        stopWaiting();
        reject(error);
      };
      const grant = (): void => {
        stopWaiting();
        resolve();
      };
      const onAbort = (): void => {
        if (signal !== undefined) refuse(aborted(signal));
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#queue.set(owner, { grant, refuse });
      owner.waitsFor = this;
    });
  }
}

import type { Adapter } from "../adapter/adapter.ts";
import type { ConsumerKey, Fence, SegmentKey } from "../adapter/consumers.ts";
import type { Operation } from "../adapter/operation.ts";
import type { Codec } from "../codec.ts";
import { TidemarkError } from "../errors.ts";
import type { AppendRequest } from "../event.ts";
import { type InTransaction, transactionEnded } from "../store/in-transaction.ts";
import { invalid, type PreparedAppend } from "../store/requests.ts";
import type { EventSource, StoreInTransaction } from "../store/store.ts";
import { createController, sleep } from "../store/timing.ts";
import type { Position } from "../values/position.ts";
import { consumerLabel } from "./name.ts";
import { createFencedRecords, type FencedRecords } from "./records.ts";

export interface EnterOptions extends Operation {
  /** Default 0. */
  readonly segment?: number | undefined;
  /** How long the zone stays ours without renewal, which happens by itself. Default 30 000. */
  readonly leaseMs?: number | undefined;
  /** Who we are, for people who look. Default: host, process and a random part. */
  readonly owner?: string | undefined;
  /** The log that the consumer reads. Default: the store itself. */
  readonly log?: EventSource | undefined;
}

/** A transaction whose effects and checkpoint are committed together or not at all. */
export interface FencedTransaction<Tx> {
  readonly tx: Tx;
  readonly store: StoreInTransaction;
  /** Validated now, written as the last statements before the commit, so that readers wait for microseconds only. */
  readonly append: (request: AppendRequest) => void;
  /** Sagas, deadlines, dead letters and completions, written in this transaction. */
  readonly records: FencedRecords;
  /** Fires when the zone is lost or the transaction has been open for too long. */
  readonly signal: AbortSignal;
}

/**
 * The exclusive right to consume one segment of one consumer: a lease that renews itself, fenced by a token. Leave it,
 * or declare it with `await using`.
 */
export interface Zone<Tx> extends AsyncDisposable {
  readonly consumer: ConsumerKey;
  /** Of the layout that the segment belongs to. */
  readonly generation: number;
  /** How many segments the layout has. */
  readonly segments: number;
  readonly segment: number;
  /** Raised with every entry. */
  readonly token: bigint;
  /** The checkpoint as of the last commit. */
  readonly position: Position;
  /** False once this process was told to disable the consumer. */
  readonly enabled: boolean;
  /** Fires, with ZONE_LOST as its reason, when the zone is lost. */
  readonly signal: AbortSignal;
  /**
   * Runs `work` in a transaction and moves the checkpoint to the position that it returns, both or neither. Nothing is
   * committed after the zone was taken over. Repeating a commit whose acknowledgement was lost is recognised: it
   * resolves, and the effects are there once.
   *
   * One at a time: another one before it has settled is WOULD_DEADLOCK. When a transaction was given up because of its
   * time, the next commit waits for the work that was left running.
   *
   * Errors: ZONE_LOST; CHECKPOINT_CONFLICT when the stored checkpoint is not `from`, by default {@link position};
   * TRANSACTION_ENDED; TRANSACTION_TIMEOUT; and whatever `work` throws.
   */
  commit(
    work: (transaction: FencedTransaction<Tx>) => Promise<Position> | Position,
    options?: Operation & { readonly from?: Position; readonly keepError?: boolean },
  ): Promise<Position>;
  /** Ends the lease. Does nothing when it is not ours any more. May be called twice. */
  leave(): Promise<void>;
}

export interface ZoneParts<Tx> {
  readonly adapter: Pick<Adapter<Tx>, "within" | "zones">;
  readonly key: SegmentKey;
  readonly segments: number;
  readonly token: bigint;
  readonly position: Position;
  readonly leaseMs: number;
  /** Runs `work` in a library transaction of the store. */
  readonly transaction: <T>(
    work: (tx: Tx, store: InTransaction, signal: AbortSignal) => Promise<T>,
    op: Operation,
  ) => Promise<T>;
  readonly prepare: (request: AppendRequest) => PreparedAppend;
  readonly codec: Codec;
  /** How long work that was given up may go on before the next commit begins all the same. */
  readonly patienceMs: number;
  /** Called after each commit that moved the checkpoint or carried something out. */
  readonly onCommit: () => void;
  /** Guards a call as the store guards its own. */
  readonly call: <T>(name: string, writes: boolean, work: () => Promise<T>) => Promise<T>;
  /** Whether a transaction of this store is open that a renewal has to wait for, and a takeover too. */
  readonly takeoverIsImpossible: () => boolean;
  readonly onLeave: (zone: HeldZone<Tx>) => void;
}

/** The same commit as before, whose acknowledgement was lost. Rolls back the repetition. */
class AlreadyCommitted extends Error {
  override name = "AlreadyCommitted";
}

export class HeldZone<Tx> implements Zone<Tx> {
  readonly consumer: ConsumerKey;
  readonly generation: number;
  readonly segments: number;
  readonly segment: number;
  readonly token: bigint;
  enabled = true;
  readonly #parts: ZoneParts<Tx>;
  readonly #lost = createController();
  readonly #renewal: NodeJS.Timeout;
  #position: Position;
  #confirmedAt = performance.now();
  #renewing = false;
  #left: Promise<void> | undefined;
  #committing = false;
  /** Settles when the work that was last given to `commit` has ended. */
  #work: Promise<void> = Promise.resolve();
  /** The last commit whose acknowledgement was lost. */
  #unsure: { readonly from: Position; readonly to: Position } | undefined;

  constructor(parts: ZoneParts<Tx>) {
    this.#parts = parts;
    this.consumer = { name: parts.key.name, version: parts.key.version };
    this.generation = parts.key.generation;
    this.segments = parts.segments;
    this.segment = parts.key.segment;
    this.token = parts.token;
    this.#position = parts.position;
    this.#renewal = setInterval(() => void this.#renew(), Math.max(1, Math.floor(parts.leaseMs / 3)));
    this.#renewal.unref();
  }

  get position(): Position {
    return this.#position;
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  async commit(
    work: (transaction: FencedTransaction<Tx>) => Promise<Position> | Position,
    options: Operation & { readonly from?: Position; readonly keepError?: boolean } = {},
  ): Promise<Position> {
    this.#check();
    if (this.#committing) throw oneCommitAtATime(consumerLabel(this.consumer));
    this.#committing = true;
    try {
      await this.#endOfAbandonedWork();
      return await this.#commit(work, options);
    } finally {
      this.#committing = false;
    }
  }

  leave(): Promise<void> {
    this.#left ??= this.#parts.call("zone.leave", true, () => this.release());
    return this.#left;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.leave();
  }

  async #commit(
    work: (transaction: FencedTransaction<Tx>) => Promise<Position> | Position,
    options: Operation & { readonly from?: Position; readonly keepError?: boolean },
  ): Promise<Position> {
    const from = options.from ?? this.#position;
    let to = from;
    let fenced = false;
    const lend = async (tx: Tx, store: InTransaction, signal: AbortSignal): Promise<void> => {
      const late: PreparedAppend[] = [];
      let working = true;
      const append = (request: AppendRequest): void => {
        if (!working) throw transactionEnded();
        late.push(this.#parts.prepare(request));
      };
      try {
        const records = createFencedRecords(this.#parts.adapter.within(tx), this.#parts.codec, { signal });
        to = await this.#remember(work({ tx, store, append, records, signal }));
      } finally {
        working = false;
      }
      if (typeof to !== "bigint" || to < from) {
        throw invalid(
          "checkpoint",
          `A checkpoint moves forward only: from ${from} to ${String(to)} is refused. Use reset.`,
        );
      }
      if (late.length > 0) await store.appendPrepared(late, { signal });
      await this.#fence(tx, from, to, options.keepError !== true, signal);
      fenced = true;
    };
    try {
      await this.#parts.transaction(lend, { signal: options.signal });
    } catch (error) {
      // Behind the fence only the commit is left, and what became of it is not known.
      if (fenced) this.#unsure = { from, to };
      if (!(error instanceof AlreadyCommitted)) throw error;
    }
    this.#position = to;
    this.#confirmedAt = performance.now();
    this.#parts.onCommit();
    return to;
  }

  #remember(work: Promise<Position> | Position): Promise<Position> | Position {
    if (typeof work === "bigint") return work;
    this.#work = work.then(
      () => undefined,
      () => undefined,
    );
    return work;
  }

  /**
   * A transaction that is rolled back for its time or its zone leaves its work running, if that does not listen to its
   * signal. Two of them must not run side by side; but one that never ends must not hold up the consumer for ever.
   */
  async #endOfAbandonedWork(): Promise<void> {
    const patience = new AbortController();
    await Promise.race([this.#work, sleep(this.#parts.patienceMs, patience.signal).catch(() => undefined)]);
    patience.abort();
  }

  async #fence(tx: Tx, from: Position, to: Position, clearError: boolean, signal: AbortSignal): Promise<void> {
    const { adapter, key, token, leaseMs } = this.#parts;
    const port = adapter.within(tx);
    const fence: Fence = { key, token, from, to, leaseMs, clearError };
    if (await port.fence(fence, { signal })) return;
    const stored = await port.segment(key, { signal });
    if (stored?.token !== token || stored.position === undefined) throw this.#lose();
    if (this.#unsure?.from === from && this.#unsure.to === to && stored.position === to) throw new AlreadyCommitted();
    // Only we could move it while the token is ours: by a commit whose acknowledgement was lost.
    this.#position = stored.position;
    const consumer = consumerLabel(this.consumer);
    throw new TidemarkError(
      "CHECKPOINT_CONFLICT",
      `The checkpoint of ${consumer} is ${stored.position}, the commit started from ${from}. Nothing was committed. ` +
        "Read on from the stored checkpoint.",
      { consumer, from, stored: stored.position },
    );
  }

  /** Ends the lease without asking whether the store still takes calls: for its own closing. */
  async release(): Promise<void> {
    clearInterval(this.#renewal);
    this.#left ??= Promise.resolve();
    const { adapter, key, token } = this.#parts;
    try {
      await adapter.zones.leave(key, token, {});
    } finally {
      this.#parts.onLeave(this);
    }
  }

  async #renew(): Promise<void> {
    if (this.#renewing) {
      // Timers run before sockets are read: after a stall of this process the answer may be there and not seen yet.
      if (this.#isUnanswered()) setImmediate(() => this.#loseUnlessAnswered());
      return;
    }
    const { adapter, key, token, leaseMs } = this.#parts;
    const unconfirmedFor = performance.now() - this.#confirmedAt;
    this.#renewing = true;
    const askedAt = performance.now();
    try {
      if (await adapter.zones.renew(key, token, leaseMs, {})) this.#confirmedAt = askedAt;
      else this.#lose();
    } catch {
      // The database did not answer. The next tick asks again; past the lease this zone counts as lost.
      if (unconfirmedFor > leaseMs) this.#lose();
    } finally {
      this.#renewing = false;
    }
  }

  /** An answer is outstanding. Past the lease it must be taken for a loss, unless nobody could have taken over. */
  #isUnanswered(): boolean {
    const { leaseMs, takeoverIsImpossible } = this.#parts;
    return this.#renewing && performance.now() - this.#confirmedAt > leaseMs && !takeoverIsImpossible();
  }

  /** Once what had come in by the tick has been read. */
  #loseUnlessAnswered(): void {
    if (this.#left !== undefined || this.#lost.signal.aborted) return;
    if (this.#isUnanswered()) this.#lose();
    // The answer is as old as the stall was long: asked again at once, not at the next tick.
    else void this.#renew();
  }

  #check(): void {
    if (this.#left !== undefined || this.#lost.signal.aborted) throw this.#lose();
  }

  #lose(): TidemarkError<"ZONE_LOST"> {
    clearInterval(this.#renewal);
    const consumer = consumerLabel(this.consumer);
    const error = new TidemarkError(
      "ZONE_LOST",
      `The zone of ${consumer}, segment ${this.segment}, is not ours any more: its lease ran out and somebody took it ` +
        "over, or the consumer was reset, resegmented, promoted or deleted, or it was left. Nothing was committed. " +
        "Enter it again to go on.",
      { consumer, segment: this.segment },
    );
    if (!this.#lost.signal.aborted) this.#lost.abort(error);
    return error;
  }
}

function oneCommitAtATime(consumer: string): TidemarkError<"WOULD_DEADLOCK"> {
  return new TidemarkError(
    "WOULD_DEADLOCK",
    `A commit of the zone of ${consumer} is under way on this handle. Await it before you begin another one.`,
    { call: "zone.commit" },
  );
}

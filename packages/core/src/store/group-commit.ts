import type { Adapter } from "../adapter/adapter.ts";
import type { AppendOperation, AppendOutcome, AppendUnit } from "../adapter/append.ts";
import { isTidemarkError, isTransient, TidemarkError } from "../errors.ts";
import type { ResolvedStoreOptions } from "./options.ts";
import type { PreparedAppend } from "./requests.ts";
import { abortable, backoff, sleep, throwIfAborted } from "./timing.ts";

interface Waiting {
  readonly append: PreparedAppend;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (outcome: AppendOutcome) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Coalesces concurrent appends into transactions. Whatever was submitted in one turn of the event loop, or while a
 * batch was under way, goes into the next batch. An append to an aggregate that someone else has locked leaves its
 * batch for a side lane, first in first out per aggregate, so that no neighbour waits for it.
 */
export class GroupCommit {
  readonly #adapter: Pick<Adapter<never>, "appendBatch">;
  readonly #options: Pick<ResolvedStoreOptions, "groupCommit" | "retry">;
  readonly #sameContent: AppendOperation["sameContent"];
  readonly #committed: () => void;
  readonly #lanes: SideLanes;
  #queue: Waiting[] = [];
  #inFlight = 0;
  #scheduled = false;

  constructor(
    adapter: Pick<Adapter<never>, "appendBatch">,
    options: Pick<ResolvedStoreOptions, "groupCommit" | "retry">,
    sameContent: AppendOperation["sameContent"],
    committed: () => void,
  ) {
    this.#adapter = adapter;
    this.#options = options;
    this.#sameContent = sameContent;
    this.#committed = committed;
    this.#lanes = new SideLanes(options.groupCommit.sideLanes, (waiting) => this.#commitAlone(waiting));
  }

  /** Resolves with the outcome of this append, which is never `busy`. */
  submit(append: PreparedAppend, signal: AbortSignal | undefined): Promise<AppendOutcome> {
    throwIfAborted(signal);
    const { maxQueued } = this.#options.groupCommit;
    const queued = this.#queue.length + this.#lanes.size;
    if (queued >= maxQueued) {
      throw new TidemarkError(
        "OVERLOADED",
        `${queued} appends are waiting in this process, groupCommit.maxQueued allows no more. Await appends before you ` +
          "start others.",
        { queued, allowed: maxQueued },
      );
    }
    const outcome = new Promise<AppendOutcome>((resolve, reject) => {
      this.#queue.push({ append, signal, resolve, reject });
    });
    this.#schedule();
    return abortable(outcome, signal, { eventIds: append.ids.flat() });
  }

  #schedule(): void {
    if (this.#scheduled || this.#queue.length === 0 || this.#inFlight >= this.#options.groupCommit.inFlight) return;
    this.#scheduled = true;
    // Not a microtask: what the callbacks of one turn of the event loop submit belongs into one transaction.
    setImmediate(() => {
      this.#scheduled = false;
      while (this.#inFlight < this.#options.groupCommit.inFlight) {
        const batch = this.#take();
        if (batch.length === 0) break;
        this.#inFlight += 1;
        void this.#commit(batch).finally(() => {
          this.#inFlight -= 1;
          this.#schedule();
        });
      }
    });
  }

  /** The next batch. What waits behind an append of a side lane joins that lane instead. */
  #take(): Waiting[] {
    const { maxAppends, maxEvents, maxBytes } = this.#options.groupCommit;
    const batch: Waiting[] = [];
    let events = 0;
    let bytes = 0;
    let taken = 0;
    for (const waiting of this.#queue) {
      const { append } = waiting;
      if (waiting.signal?.aborted !== true) {
        if (this.#lanes.concerns(append.keys)) this.#lanes.join(waiting);
        else {
          const full =
            batch.length === maxAppends || events + append.events > maxEvents || bytes + append.bytes > maxBytes;
          if (full && batch.length > 0) break;
          batch.push(waiting);
          events += append.events;
          bytes += append.bytes;
        }
      }
      taken += 1;
    }
    this.#queue = this.#queue.slice(taken);
    return batch;
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    try {
      const outcomes = await this.#attempt(units(batch), { onBusy: "leave", sameContent: this.#sameContent });
      for (const [index, waiting] of batch.entries()) {
        const outcome = outcomes[index];
        if (outcome?.kind === "busy") this.#lanes.join(waiting);
        else settle(waiting, outcome);
      }
      if (outcomes.some((outcome) => outcome.kind === "appended")) this.#committed();
    } catch (error) {
      if (batch.length === 1 || !isOneUnitsFault(error)) {
        for (const waiting of batch) waiting.reject(error);
        return;
      }
      const half = Math.ceil(batch.length / 2);
      await this.#commit(batch.slice(0, half));
      await this.#commit(batch.slice(half));
    }
  }

  async #commitAlone(waiting: Waiting): Promise<void> {
    if (waiting.signal?.aborted === true) return;
    try {
      const op = { onBusy: "wait", sameContent: this.#sameContent, signal: waiting.signal } as const;
      const outcomes = await this.#attempt(units([waiting]), op);
      settle(waiting, outcomes[0]);
      if (outcomes[0]?.kind === "appended") this.#committed();
    } catch (error) {
      waiting.reject(error);
    }
  }

  /** Every event has its id by now, so trying again is safe even when an acknowledgement was lost. */
  async #attempt(batch: readonly AppendUnit[], op: AppendOperation): Promise<readonly AppendOutcome[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#adapter.appendBatch(batch, op);
      } catch (error) {
        const again = isTidemarkError(error, "UNAVAILABLE") || isTidemarkError(error, "CONTENTION");
        if (!again || attempt >= this.#options.retry.attempts) throw error;
        await sleep(backoff(attempt, this.#options.retry), op.signal);
      }
    }
  }
}

/** What waits for locked aggregates: in order for each aggregate, a bounded number at once. */
class SideLanes {
  readonly #tails = new Map<string, Promise<void>>();
  readonly #places: number;
  readonly #commit: (waiting: Waiting) => Promise<void>;
  readonly #waiters: (() => void)[] = [];
  #running = 0;
  size = 0;

  constructor(places: number, commit: (waiting: Waiting) => Promise<void>) {
    this.#places = places;
    this.#commit = commit;
  }

  concerns(keys: readonly string[]): boolean {
    return this.#tails.size > 0 && keys.some((key) => this.#tails.has(key));
  }

  join(waiting: Waiting): void {
    this.size += 1;
    const { keys } = waiting.append;
    const ahead = keys.flatMap((key) => this.#tails.get(key) ?? []);
    const turn = Promise.all(ahead).then(() => this.#run(waiting));
    for (const key of keys) this.#tails.set(key, turn);
    void turn.then(() => {
      this.size -= 1;
      for (const key of keys) if (this.#tails.get(key) === turn) this.#tails.delete(key);
    });
  }

  async #run(waiting: Waiting): Promise<void> {
    if (this.#running >= this.#places) await new Promise<void>((resolve) => this.#waiters.push(resolve));
    else this.#running += 1;
    await this.#commit(waiting);
    const next = this.#waiters.shift();
    if (next === undefined) this.#running -= 1;
    else next();
  }
}

function units(batch: readonly Waiting[]): readonly AppendUnit[] {
  return batch.map((waiting) => waiting.append.unit);
}

function settle(waiting: Waiting, outcome: AppendOutcome | undefined): void {
  if (outcome === undefined)
    waiting.reject(new TypeError("The adapter returned fewer outcomes than it was given units."));
  else waiting.resolve(outcome);
}

/** Whether the same batch in smaller pieces might do better, because the error speaks of something in one unit. */
function isOneUnitsFault(error: unknown): boolean {
  if (isTransient(error)) return false;
  return !isTidemarkError(error, "CLOSED") && !isTidemarkError(error, "SCHEMA_MISMATCH");
}

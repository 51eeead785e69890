import type { Operation } from "../adapter/operation.ts";
import { isTidemarkError, isTransient } from "../errors.ts";
import type { RecordedEvent } from "../event.ts";
import { positive, resolveRetry } from "../store/options.ts";
import type { EventSource, Store } from "../store/store.ts";
import { backoff, linkSignals, sleep } from "../store/timing.ts";
import type { Position } from "../values/position.ts";
import type { Projector } from "./definition.ts";
import type { EnterOptions, FencedTransaction, Zone } from "./zone.ts";

export interface ConsumeOptions extends Operation, Pick<EnterOptions, "leaseMs" | "owner"> {
  /** Where the events are. Default: the store, which holds the checkpoint. */
  readonly log?: EventSource | undefined;
  /** Events in one batch, which is one transaction, at most. Default 500. */
  readonly fetchSize?: number | undefined;
  /** Stop after this many events. Default: when caught up. */
  readonly maxEvents?: number | undefined;
}

/** How a cycle of consuming ended. `handled` counts events whose effects were committed, `position` is the checkpoint. */
export type ConsumeResult =
  /** Somebody else holds the zone. Nothing was touched. */
  | { readonly kind: "busy" }
  /** Everything up to the head was handled. */
  | { readonly kind: "caught-up"; readonly handled: number; readonly position: Position }
  /** `maxEvents` were handled. */
  | { readonly kind: "limit"; readonly handled: number; readonly position: Position }
  /** The signal fired. What was handled is committed. */
  | { readonly kind: "aborted"; readonly handled: number; readonly position: Position }
  | { readonly kind: "disabled"; readonly handled: number; readonly position: Position }
  /** The zone was lost. The batch under way does not count. */
  | { readonly kind: "zone-lost"; readonly handled: number; readonly position: Position }
  /** An event failed for good under policy `"stop"`: the first one after `position` that the consumer gets. */
  | { readonly kind: "stopped"; readonly handled: number; readonly position: Position; readonly error: unknown };

/**
 * One cycle of a projector: declares it, enters its zone, handles events in batches until it has caught up, leaves.
 * Each batch is one transaction in the store: the effects that handlers write through `context.tx`, the events they
 * append and the checkpoint are committed together or not at all. When an event fails, what stood before it is
 * committed, and it is tried again alone. Transient failures are waited out without moving the checkpoint; when they
 * last, the call rejects with them.
 */
export async function consume<Tx>(
  store: Store<Tx>,
  projector: Projector<Tx>,
  options: ConsumeOptions = {},
): Promise<ConsumeResult> {
  const { log = store, leaseMs, owner, signal } = options;
  const fetchSize = positive("fetchSize", options.fetchSize ?? 500);
  const maxEvents = positive("maxEvents", options.maxEvents ?? 0x7fff_ffff);
  await store.consumers.declare(projector.key, { kind: projector.kind, start: projector.start, log, signal });
  const zone = await store.enterZone(projector.key, { leaseMs, owner, log, signal });
  if (zone === undefined) return { kind: "busy" };
  try {
    return await new Cycle(store, projector, log, zone, { fetchSize, maxEvents, signal }).run();
  } finally {
    // A zone that cannot be left runs out by itself. What ended the cycle is what the caller has to know.
    await zone.leave().catch(() => undefined);
  }
}

interface Bounds extends Operation {
  readonly fetchSize: number;
  readonly maxEvents: number;
}

/** An event that failed: the one after checkpoint `after`. */
interface Failing {
  readonly after: Position;
  readonly event: Position;
  readonly error: unknown;
  readonly count: number;
}

/** A handler's error and, where it is known, which event of the batch it was about. */
class HandlerFailure extends Error {
  readonly index: number | undefined;

  constructor(cause: unknown, index: number | undefined) {
    super("A handler failed.", { cause });
    this.index = index;
  }
}

/** Thrown to roll back a batch that was asked to stop before its first event. */
class StopRequested extends Error {}

const TRANSIENT_RETRY = resolveRetry("retry", {}, { attempts: 8, minDelayMs: 20, maxDelayMs: 2_000 });
const EMPTY_PAGE: readonly RecordedEvent[] = [];

class Cycle<Tx> {
  readonly #store: Store<Tx>;
  readonly #projector: Projector<Tx>;
  readonly #log: EventSource;
  readonly #zone: Zone<Tx>;
  readonly #bounds: Bounds;
  #handled = 0;
  /** Events of the next batch. Small while an event that fails is being looked for or tried again. */
  #size: number;
  #events = EMPTY_PAGE;
  #failing: Failing | undefined;
  #transientFailures = 0;

  constructor(store: Store<Tx>, projector: Projector<Tx>, log: EventSource, zone: Zone<Tx>, bounds: Bounds) {
    this.#store = store;
    this.#projector = projector;
    this.#log = log;
    this.#zone = zone;
    this.#bounds = bounds;
    this.#size = bounds.fetchSize;
  }

  async run(): Promise<ConsumeResult> {
    for (;;) {
      if (this.#bounds.signal?.aborted === true) return this.#end("aborted");
      if (this.#zone.signal.aborted) return this.#end("zone-lost");
      if (this.#handled >= this.#bounds.maxEvents) return this.#end("limit");
      try {
        if (!this.#zone.enabled || !(await this.#store.consumers.isEnabled(this.#projector.key))) {
          return this.#end("disabled");
        }
        const spent = this.#spent();
        if (spent !== undefined && this.#projector.failure.then === "stop") return this.#stop(spent.error);
        if (spent !== undefined) await this.#skip(spent);
        else if (await this.#nextBatch()) return this.#end("caught-up");
      } catch (error) {
        const end = await this.#recover(error);
        if (end !== undefined) return end;
      }
    }
  }

  /** Reads and handles a batch. True when there was nothing left to handle. */
  async #nextBatch(): Promise<boolean> {
    const limit = Math.min(this.#size, this.#bounds.maxEvents - this.#handled);
    this.#events = EMPTY_PAGE;
    const { events, next } = await this.#log.readAll({
      after: this.#zone.position,
      limit,
      scope: this.#projector.scope,
    });
    if (events.length === 0) {
      // Nothing for this consumer up to `next`: remember that, so that it is not looked for again.
      if (next > this.#zone.position) await this.#zone.commit(() => next);
      return true;
    }
    this.#events = events;
    let done = 0;
    await this.#zone.commit(async (transaction) => {
      done = await this.#runHandlers(events, transaction);
      return done === events.length ? next : positionAt(events, done - 1);
    });
    this.#handled += done;
    this.#transientFailures = 0;
    if (this.#failing !== undefined && this.#failing.after < this.#zone.position) this.#failing = undefined;
    this.#size = this.#failing === undefined ? Math.min(this.#size * 2, this.#bounds.fetchSize) : 1;
    return false;
  }

  /** Returns how many events the handlers were given: fewer when asked to stop in between. */
  async #runHandlers(events: readonly RecordedEvent[], transaction: FencedTransaction<Tx>): Promise<number> {
    const { handler } = this.#projector;
    const { tx, store, append } = transaction;
    const { controller, unlink } = linkSignals([transaction.signal, this.#zone.signal]);
    const context = { tx, store, append, live: true, signal: controller.signal };
    try {
      if (this.#isToStop()) throw new StopRequested();
      if (handler.kind === "batch") {
        await handled(() => handler.handle(events, context), events.length === 1 ? 0 : undefined);
        return events.length;
      }
      for (const [index, event] of events.entries()) {
        if (index > 0 && this.#isToStop()) return index;
        await handled(() => handler.handle(event, context), index);
      }
      return events.length;
    } finally {
      unlink();
    }
  }

  /** What to do about a failed batch: a result ends the cycle, undefined goes on with it. */
  async #recover(error: unknown): Promise<ConsumeResult | undefined> {
    if (error instanceof StopRequested) return undefined;
    const lost = isTidemarkError(error, "ZONE_LOST") || isTidemarkError(error, "CHECKPOINT_CONFLICT");
    if (lost || this.#zone.signal.aborted) return this.#end("zone-lost");
    const cause = error instanceof HandlerFailure ? error.cause : error;
    if (isTransient(cause)) {
      this.#transientFailures += 1;
      if (this.#transientFailures >= TRANSIENT_RETRY.attempts) throw cause;
      await this.#pause(backoff(this.#transientFailures, TRANSIENT_RETRY));
      return undefined;
    }
    // What a handler committed itself stays, so running it again would repeat it: no second try, whatever the policy.
    if (isTidemarkError(cause, "TRANSACTION_ENDED")) return this.#stop(cause);
    if (isTidemarkError(error, "UNREADABLE") && error.details.position !== undefined) {
      if (this.#size > 1) this.#size = 1;
      else await this.#fail(this.#zone.position, error.details.position, error);
      return undefined;
    }
    if (this.#events.length === 0) throw cause;
    const index = error instanceof HandlerFailure ? error.index : this.#events.length === 1 ? 0 : undefined;
    if (index === undefined) this.#size = Math.ceil(this.#events.length / 2);
    else {
      const after = index === 0 ? this.#zone.position : positionAt(this.#events, index - 1);
      this.#size = Math.max(1, index);
      await this.#fail(after, positionAt(this.#events, index), cause);
    }
    return undefined;
  }

  /** Counts a failure of one event; waits before it is tried again, unless its predecessors go first. */
  async #fail(after: Position, event: Position, error: unknown): Promise<void> {
    const count = this.#failing?.after === after ? this.#failing.count + 1 : 1;
    this.#failing = { after, event, error, count };
    if (after !== this.#zone.position) return;
    await this.#store.consumers.recordError(this.#projector.key, error);
    if (count < this.#projector.failure.attempts) await this.#pause(backoff(count, this.#projector.failure));
  }

  /** The next event, when it has failed as often as it may. */
  #spent(): Failing | undefined {
    const failing = this.#failing;
    if (failing === undefined || failing.after !== this.#zone.position) return undefined;
    return failing.count >= this.#projector.failure.attempts ? failing : undefined;
  }

  async #skip(failing: Failing): Promise<void> {
    await this.#store.consumers.recordError(this.#projector.key, failing.error);
    await this.#zone.commit(() => failing.event, { keepError: true });
    this.#failing = undefined;
    this.#size = this.#bounds.fetchSize;
  }

  async #stop(error: unknown): Promise<ConsumeResult> {
    if (this.#failing?.after !== this.#zone.position)
      await this.#store.consumers.recordError(this.#projector.key, error);
    return { ...this.#end("stopped"), kind: "stopped", error };
  }

  #isToStop(): boolean {
    return !this.#zone.enabled || this.#bounds.signal?.aborted === true;
  }

  /** Ends early when the signal fires or the zone is lost: the next turn of the cycle finds out why. */
  async #pause(ms: number): Promise<void> {
    const { controller, unlink } = linkSignals([this.#bounds.signal, this.#zone.signal]);
    await sleep(ms, controller.signal).catch(() => undefined);
    unlink();
  }

  #end<Kind extends string>(
    kind: Kind,
  ): { readonly kind: Kind; readonly handled: number; readonly position: Position } {
    return { kind, handled: this.#handled, position: this.#zone.position };
  }
}

async function handled(run: () => unknown, index: number | undefined): Promise<void> {
  try {
    await run();
  } catch (error) {
    throw new HandlerFailure(error, index);
  }
}

function positionAt(events: readonly RecordedEvent[], index: number): Position {
  const event = events[index];
  if (event === undefined) throw new RangeError(`The batch has no event ${index}.`);
  return event.position;
}

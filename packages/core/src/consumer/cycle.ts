import { isTidemarkError, isTransient } from "../errors.ts";
import type { RecordedEvent } from "../event.ts";
import type { Page } from "../store/store.ts";
import { backoff, linkSignals, sleep } from "../store/timing.ts";
import { createFlakeGenerator } from "../values/flake.ts";
import type { Position } from "../values/position.ts";
import { type BatchReport, runBatch } from "./batch.ts";
import { TRANSIENT_RETRY } from "./failure.ts";
import { HandlerFailure, StopRequested } from "./interruptions.ts";
import { notify, type Observation, type Observe } from "./observation.ts";
import { Outlook, type OutlookParts } from "./outlook.ts";
import { park } from "./parking.ts";
import { patiently } from "./patience.ts";
import type { Projector } from "./projector.ts";
import { replayLetters } from "./replay.ts";
import type { RunResult } from "./run-in-zone.ts";
import type { SagaConsumer } from "./saga.ts";
import { type Work, workOf } from "./work.ts";
import type { Zone } from "./zone.ts";

export interface CycleParts<Tx> extends OutlookParts<Tx> {
  readonly fetchSize: number;
  readonly maxEvents: number;
  readonly deadLettersOnly: boolean;
  readonly signal: AbortSignal | undefined;
  readonly observe: Observe | undefined;
}

/** An event that failed: the one after checkpoint `after`. */
interface Failing {
  readonly after: Position;
  readonly position: Position;
  /** Undefined for one that cannot be read. */
  readonly event: RecordedEvent | undefined;
  readonly error: unknown;
  readonly count: number;
  /** Whether the last failure is in the consumer's error state. */
  readonly recorded: boolean;
}

const EMPTY_PAGE: readonly RecordedEvent[] = [];

/** One cycle of a consumer whose effects and checkpoint are one transaction. */
export class Cycle<Tx> {
  readonly #consumer: Projector<Tx> | SagaConsumer<Tx>;
  readonly #work: Work<Tx>;
  readonly #parts: CycleParts<Tx>;
  readonly #zone: Zone<Tx>;
  readonly #outlook: Outlook<Tx>;
  #handled = 0;
  /** Events of the next batch. Small while an event that fails is being looked for or tried again. */
  #size: number;
  #events = EMPTY_PAGE;
  #failing: Failing | undefined;
  #transientFailures = 0;
  #deadlineFailures = 0;

  constructor(consumer: Projector<Tx> | SagaConsumer<Tx>, parts: CycleParts<Tx>) {
    this.#consumer = consumer;
    this.#work = workOf(consumer, createFlakeGenerator());
    this.#parts = parts;
    this.#zone = parts.zone;
    const saga = this.#work.wake === undefined || consumer.kind !== "saga" ? undefined : consumer.saga;
    this.#outlook = new Outlook({ key: consumer.key, scope: consumer.scope, saga }, parts);
    this.#size = parts.fetchSize;
  }

  async run(): Promise<RunResult> {
    const { maxEvents, signal } = this.#parts;
    for (;;) {
      if (signal?.aborted === true) return this.#end("aborted");
      if (this.#zone.signal.aborted) return this.#end("zone-lost");
      if (this.#handled >= maxEvents) return this.#end("limit");
      // What fails before the next page is read has nothing to do with the events of the last one.
      this.#events = EMPTY_PAGE;
      try {
        await this.#outlook.renew();
        if (!this.#outlook.enabled) return this.#end("disabled");
        if (this.#outlook.requested && (await this.#replay())) continue;
        if (this.#parts.deadLettersOnly) return this.#end("caught-up");
        if (this.#outlook.due) await this.#wakeSagas();
        if (this.#outlook.isReached(this.#zone.position)) return this.#end("until");
        const spent = this.#spent();
        if (spent !== undefined && this.#stopsAt(spent)) {
          const end = await this.#stop(spent.error, spent.event);
          if (end !== undefined) return end;
        } else if (spent !== undefined) await this.#pass(spent);
        else if ((await this.#nextBatch()) && !this.#outlook.isReached(this.#zone.position))
          return this.#end("caught-up");
      } catch (error) {
        const end = await this.#recover(error);
        if (end !== undefined) return end;
      }
    }
  }

  /** Reads and handles a batch. True when there was nothing left to handle. */
  async #nextBatch(): Promise<boolean> {
    const limit = Math.min(this.#size, this.#parts.maxEvents - this.#handled);
    const { events, next } = await this.#outlook.page(this.#zone.position, limit, this.#zone.signal);
    if (events.length === 0) {
      // Nothing for this consumer up to `next`: remember that, so that it is not looked for again.
      if (next > this.#zone.position) await this.#zone.commit(() => next);
      return true;
    }
    this.#events = events;
    let report: BatchReport = { done: 0, observations: [] };
    await this.#zone.commit(async (transaction) => {
      const { codec } = this.#parts.store;
      report = await runBatch({
        events,
        work: this.#work,
        zone: this.#zone,
        transaction,
        codec,
        live: this.#outlook.isLive(positionAt(events, 0)),
        isToStop: () => this.#isToStop(),
      });
      return report.done === events.length ? next : positionAt(events, report.done - 1);
    });
    this.#through(report.observations);
    this.#transientFailures = 0;
    if (this.#failing !== undefined && this.#failing.after < this.#zone.position) this.#failing = undefined;
    this.#size = this.#failing === undefined ? Math.min(this.#size * 2, this.#parts.fetchSize) : 1;
    return false;
  }

  /** Carries out what was asked for dead letters. True when something was: it may have set others free. */
  async #replay(): Promise<boolean> {
    const { store, maxEvents } = this.#parts;
    const observed = (observation: Observation): void => this.#through([observation]);
    const isToStop = (): boolean => this.#isToStop() || this.#handled >= maxEvents;
    const outlook = this.#outlook;
    return replayLetters({ store, zone: this.#zone, work: this.#work, outlook, isToStop, observed });
  }

  /** Wakes the sagas whose deadlines are due, each in a transaction of its own. */
  async #wakeSagas(): Promise<void> {
    const { wake, consumer } = this.#work;
    if (wake === undefined || consumer.kind !== "saga") return;
    while ((await this.#parts.store.deadlines.due(consumer.saga, 1)).length > 0) {
      if (this.#isToStop()) return;
      await this.#zone.commit(async ({ tx, store, append, records, signal }) => {
        // Read again where nobody else can change it: the handler before may have cancelled or replaced it.
        const [deadline] = await records.deadlines.due(consumer.saga, 1);
        if (deadline === undefined) return this.#zone.position;
        const live = this.#outlook.isLive(this.#zone.position);
        await wake(deadline, { tx, store, append, live, signal }, records).catch((error: unknown) => {
          throw new HandlerFailure(error, undefined);
        });
        return this.#zone.position;
      });
      this.#deadlineFailures = 0;
      this.#transientFailures = 0;
    }
  }

  /** What to do about a failure: a result ends the cycle, undefined goes on with it. */
  async #recover(error: unknown): Promise<RunResult | undefined> {
    if (error instanceof StopRequested) return undefined;
    if (isTidemarkError(error, "ZONE_LOST") || this.#zone.signal.aborted) return this.#end("zone-lost");
    // A commit of ours whose acknowledgement was lost: the zone knows the stored checkpoint now, so go on from there.
    if (isTidemarkError(error, "CHECKPOINT_CONFLICT")) return undefined;
    const cause = error instanceof HandlerFailure ? error.cause : error;
    if (isTransient(cause)) {
      this.#transientFailures += 1;
      if (this.#transientFailures >= TRANSIENT_RETRY.attempts) throw cause;
      await this.#pause(backoff(this.#transientFailures, TRANSIENT_RETRY));
      return undefined;
    }
    const index = error instanceof HandlerFailure ? error.index : this.#events.length === 1 ? 0 : undefined;
    const event = index === undefined ? undefined : this.#events[index];
    // What a handler committed itself stays, so running it again would repeat it: no second try, whatever the policy.
    if (isTidemarkError(cause, "TRANSACTION_ENDED")) return this.#stop(cause, event);
    if (isTidemarkError(cause, "DEAD_LETTERS_FULL")) {
      // What stands before the event that cannot be parked is committed first.
      if (this.#events.length <= 1) return this.#stop(cause, event ?? this.#failing?.event);
      this.#size = Math.ceil(this.#events.length / 2);
      return undefined;
    }
    if (isTidemarkError(error, "UNREADABLE") && error.details.position !== undefined) {
      if (this.#size > 1) this.#size = 1;
      else await this.#fail({ after: this.#zone.position, position: error.details.position, event: undefined, error });
      return undefined;
    }
    if (this.#events.length === 0) return this.#failOutsideOfEvents(error, cause);
    if (index === undefined || event === undefined) this.#size = Math.ceil(this.#events.length / 2);
    else {
      const after = index === 0 ? this.#zone.position : positionAt(this.#events, index - 1);
      this.#size = Math.max(1, index);
      await this.#fail({ after, position: event.position, event, error: cause });
    }
    return undefined;
  }

  /** A deadline's handler failed: there is no event to park or skip, so it is tried again and then stopped at. */
  async #failOutsideOfEvents(error: unknown, cause: unknown): Promise<RunResult | undefined> {
    if (!(error instanceof HandlerFailure)) throw error;
    this.#deadlineFailures += 1;
    if (this.#deadlineFailures >= this.#consumer.failure.attempts) return this.#stop(cause);
    if (!(await this.#recordError(cause))) return undefined;
    await this.#pause(backoff(this.#deadlineFailures, this.#consumer.failure));
    return undefined;
  }

  /** Counts a failure of one event; waits before it is tried again, unless its predecessors go first. */
  async #fail(failure: Omit<Failing, "count" | "recorded">): Promise<void> {
    const { after, error } = failure;
    const count = this.#failing?.after === after ? this.#failing.count + 1 : 1;
    const isNext = after === this.#zone.position;
    this.#failing = { ...failure, count, recorded: false };
    if (!isNext || !(await this.#recordError(error))) return;
    this.#failing = { ...failure, count, recorded: true };
    if (count < this.#consumer.failure.attempts) await this.#pause(backoff(count, this.#consumer.failure));
  }

  /** The next event, when it has failed as often as it may. */
  #spent(): Failing | undefined {
    const failing = this.#failing;
    if (failing === undefined || failing.after !== this.#zone.position) return undefined;
    return failing.count >= this.#consumer.failure.attempts ? failing : undefined;
  }

  /** What cannot be read cannot be parked either, and must not be lost. */
  #stopsAt({ event }: Failing): boolean {
    const { then } = this.#consumer.failure;
    return then === "stop" || (then === "park" && event === undefined);
  }

  /** Goes past an event that failed for good: skips or parks it. */
  async #pass(failing: Failing): Promise<void> {
    const { position, event: given, error, count } = failing;
    const { codec } = this.#parts.store;
    // Read again: the handler may have changed the one that it was given.
    const event = given && (await this.#readAgain()).events[0];
    if (!failing.recorded) {
      if (!(await this.#recordError(error))) return;
      this.#failing = { ...failing, recorded: true };
    }
    const then = this.#consumer.failure.then;
    await this.#zone.commit(
      async ({ records }) => {
        if (then !== "park" || event === undefined) return position;
        const sequences = [...this.#work.sequences(event), ...(await this.#work.moreSequences(event, records))];
        await park([{ event, sequences, failure: { error, attempts: count } }], this.#consumer, codec, records);
        return position;
      },
      { keepError: true },
    );
    this.#failing = undefined;
    this.#size = this.#parts.fetchSize;
    if (event === undefined) return;
    const outcome = then === "park" ? "parked" : "skipped";
    const { key: consumer, kind } = this.#consumer;
    this.#through([{ consumer, kind, event, outcome, error, durationMs: 0 }]);
  }

  /** From the log itself: a page that was read ahead has the event that the handler was given. */
  #readAgain(): Promise<Page> {
    return this.#parts.log.readAll({ after: this.#zone.position, limit: 1, scope: this.#outlook.scope });
  }

  /** Undefined when the cycle was told to end before the error could be recorded: then that is how it ends. */
  async #stop(error: unknown, event?: RecordedEvent): Promise<RunResult | undefined> {
    const failing = this.#failing;
    const recorded = failing !== undefined && failing.error === error && failing.recorded;
    if (!recorded && !(await this.#recordError(error))) return undefined;
    if (event !== undefined) {
      const { key: consumer, kind } = this.#consumer;
      this.#through([{ consumer, kind, event, outcome: "stopped", error, durationMs: 0 }]);
    }
    return { ...this.#end("stopped"), error };
  }

  /** Waits for the database where it must. False when the signal fired or the zone was lost meanwhile. */
  async #recordError(error: unknown): Promise<boolean> {
    const { controller, unlink } = linkSignals([this.#parts.signal, this.#zone.signal]);
    const { consumers } = this.#parts.store;
    try {
      const { segment } = this.#zone;
      await patiently(() => consumers.recordError(this.#consumer.key, error, { segment }), controller.signal);
      return true;
    } catch (cause) {
      if (controller.signal.aborted) return false;
      throw cause;
    } finally {
      unlink();
    }
  }

  /** Counts and reports what the consumer is through with. */
  #through(observations: readonly Observation[]): void {
    for (const observation of observations) {
      if (observation.outcome === "handled") this.#handled += 1;
      notify(this.#parts.observe, observation);
    }
  }

  #isToStop(): boolean {
    return !this.#zone.enabled || this.#parts.signal?.aborted === true || this.#zone.signal.aborted;
  }

  /** Ends early when the signal fires or the zone is lost: the next turn of the cycle finds out why. */
  async #pause(ms: number): Promise<void> {
    const { controller, unlink } = linkSignals([this.#parts.signal, this.#zone.signal]);
    await sleep(ms, controller.signal).catch(() => undefined);
    unlink();
  }

  #end<Kind extends string>(
    kind: Kind,
  ): { readonly kind: Kind; readonly handled: number; readonly position: Position } {
    return { kind, handled: this.#handled, position: this.#zone.position };
  }
}

function positionAt(events: readonly RecordedEvent[], index: number): Position {
  const event = events[index];
  if (event === undefined) throw new RangeError(`The batch has no event ${index}.`);
  return event.position;
}

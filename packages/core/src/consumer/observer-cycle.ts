import { isTidemarkError, isTransient } from "../errors.ts";
import type { RecordedEvent } from "../event.ts";
import type { Page } from "../store/store.ts";
import { backoff, linkSignals, sleep } from "../store/timing.ts";
import { aggregateKey } from "../values/aggregate.ts";
import type { Position } from "../values/position.ts";
import type { CycleParts } from "./cycle.ts";
import type { HandlerContext } from "./definition.ts";
import { TRANSIENT_RETRY } from "./failure.ts";
import { Lanes } from "./lanes.ts";
import { notify, type Observation } from "./observation.ts";
import type { Executor, Observer } from "./observer.ts";
import { ObserverProgress } from "./observer-progress.ts";
import { replayObserved } from "./observer-replay.ts";
import { runObserved, type RunOutcome } from "./observer-run.ts";
import { Outlook } from "./outlook.ts";
import { patiently } from "./patience.ts";
import type { RunResult } from "./run-in-zone.ts";
import { aggregateSequence } from "./sequences.ts";

export interface ObserverCycleParts<Tx> extends CycleParts<Tx> {
  readonly executor: Executor | undefined;
}

/** Why no further handler is begun. */
type Ending =
  | { readonly kind: "aborted" | "disabled" | "zone-lost" | "limit" | "rejected" | "caught-up" | "until" }
  | { readonly kind: "stopped"; readonly error: unknown }
  | { readonly kind: "failed"; readonly error: unknown };

/** Events behind one whose handler takes long, all of them done, at most: they are kept until it is done too. */
const MOST_AHEAD = 10_000;

/** One cycle of an observer: reads ahead of its checkpoint, runs handlers in lanes, records what is completed. */
export class ObserverCycle<Tx> {
  readonly #observer: Observer;
  readonly #parts: ObserverCycleParts<Tx>;
  readonly #lanes: Lanes;
  readonly #progress: ObserverProgress<Tx>;
  readonly #outlook: Outlook<Tx>;
  readonly #signal: AbortSignal;
  /** Fires when no handler may begin again: all of them listen to this one instead of the caller's. */
  readonly #stop: AbortSignal;
  readonly #unlink: () => void;
  #handled = 0;
  /** Events of the next page. Small while an event that cannot be read is being looked for. */
  #size: number;
  #begun = 0;
  #running = 0;
  #ending: Ending | undefined;

  constructor(observer: Observer, parts: ObserverCycleParts<Tx>) {
    this.#observer = observer;
    this.#parts = parts;
    this.#lanes = new Lanes(observer.concurrency);
    this.#size = parts.fetchSize;
    this.#outlook = new Outlook(observer, parts);
    this.#progress = new ObserverProgress(observer, parts.zone, parts.store.codec);
    const lost = linkSignals([parts.zone.signal]);
    const stop = linkSignals([parts.signal, parts.zone.signal]);
    this.#signal = lost.controller.signal;
    this.#stop = stop.controller.signal;
    this.#unlink = () => {
      lost.unlink();
      stop.unlink();
    };
  }

  async run(): Promise<RunResult> {
    try {
      await this.#guard(() => this.#progress.load());
      while (this.#ending === undefined) await this.#guard(() => this.#turn());
      this.#lanes.clear();
      while (this.#lanes.unfinished > 0) await this.#lanes.change();
      if (this.#ending.kind !== "zone-lost") await this.#recordTheRest();
      return this.#result();
    } finally {
      this.#unlink();
    }
  }

  /** What stays unrecorded is done again: the caller has to know, however the cycle was to end. */
  #recordTheRest(): Promise<void> {
    const record = (): Promise<void> => this.#progress.record({ keepError: this.#ending?.kind === "stopped" });
    return this.#guard(record, (error) => {
      // An event that has to be mended is told of all the same; the position beside it is the recorded one.
      if (this.#ending?.kind !== "stopped" && this.#ending?.kind !== "failed") this.#ending = { kind: "failed", error };
    });
  }

  /** Reads a page and gives out its events; or waits for handlers, when enough are under way. */
  async #turn(): Promise<void> {
    const { zone, maxEvents } = this.#parts;
    const { maxInFlight } = this.#observer;
    this.#lookForAnEnd();
    if (this.#ending !== undefined) return;
    await this.#outlook.renew();
    if (!this.#outlook.enabled) return this.#endBy({ kind: "disabled" });
    if (this.#outlook.requested && (await this.#replay())) return;
    if (this.#parts.deadLettersOnly) return this.#endBy({ kind: "caught-up" });
    if (this.#lanes.unfinished >= maxInFlight) return this.#lanes.change();
    if (this.#begun >= maxEvents || this.#progress.ahead >= Math.max(MOST_AHEAD, maxInFlight)) return this.#getDone();
    // What was read before anyone said where to stop is got done: the place to stop then moves there.
    if (this.#outlook.isReached(this.#progress.read)) return this.#getDone();
    // What handlers appended while the page was read need not be in it: only what is read while none runs is the end.
    const quiet = this.#lanes.unfinished === 0;
    const page = await this.#read(Math.min(maxInFlight - this.#lanes.unfinished, maxEvents - this.#begun));
    if (page === undefined) return;
    const parked = await this.#progress.add(page);
    if (page.events.length === 0) {
      if (this.#lanes.unfinished > 0) return this.#waitForNews();
      if (!quiet) return;
      const isReached = this.#outlook.isReached(zone.position);
      if (zone.position === page.next) this.#endBy({ kind: isReached ? "until" : "caught-up" });
      return;
    }
    for (const event of page.events) {
      if (this.#progress.isDone(event.position)) continue;
      this.#begun += 1;
      // Also what waits takes its turn: a letter before that of an earlier event could be set free before it.
      const waits = parked.has(aggregateSequence(event.aggregate));
      this.#lanes.give(aggregateKey(event.aggregate), () => this.#handle(event, waits));
    }
  }

  /** The next page. Undefined when an event in it cannot be read: then it is looked for, and stopped at or skipped. */
  async #read(room: number): Promise<Page | undefined> {
    const { store, zone } = this.#parts;
    const limit = Math.min(room, this.#size);
    try {
      const page = await this.#outlook.page(this.#progress.read, limit, this.#signal);
      this.#size = Math.min(this.#size * 2, this.#parts.fetchSize);
      return page;
    } catch (error) {
      if (!isTidemarkError(error, "UNREADABLE") || error.details.position === undefined) throw error;
      if (limit > 1) this.#size = 1;
      else if (this.#observer.failure.then === "skip") {
        await store.consumers.recordError(this.#observer.key, error, { segment: zone.segment });
        this.#progress.skip(error.details.position);
      } else this.#endBy({ kind: "stopped", error });
      return undefined;
    }
  }

  /** Reads nothing more for now: waits for a handler and records what is done. */
  async #getDone(): Promise<void> {
    if (this.#lanes.unfinished > 0) await this.#lanes.change();
    else if (this.#begun >= this.#parts.maxEvents) this.#endBy({ kind: "limit" });
    else if (this.#outlook.isReached(this.#progress.read)) this.#endBy({ kind: "until" });
    await this.#progress.record();
  }

  /** Until a handler is done or the log goes on: a handler that takes long holds up its own aggregate only. */
  async #waitForNews(): Promise<void> {
    const { controller, unlink } = linkSignals([this.#signal]);
    const news = this.#parts.log.wait(this.#progress.read, { signal: controller.signal });
    try {
      await Promise.race([this.#lanes.change(), news]);
    } finally {
      controller.abort();
      unlink();
    }
  }

  async #handle(event: RecordedEvent, waits: boolean): Promise<void> {
    this.#lookForAnEnd();
    if (this.#ending !== undefined) return;
    if (waits || this.#progress.isParkedNow(event)) return this.#waits(event);
    if (!(await this.#mayBegin())) return;
    // What the handler does to its event changes nothing here.
    const { position } = event;
    const outcome = await this.#runHandler(event);
    this.#running -= 1;
    if (outcome.kind === "handled") this.#handled += 1;
    switch (outcome.kind) {
      case "handled":
      case "done-before":
        this.#progress.done(position);
        break;
      case "skipped":
        this.#progress.done(position, { keepError: true });
        break;
      case "parked":
        this.#progress.park(outcome.event, { error: outcome.error, attempts: outcome.attempts });
        break;
      case "rejected":
        return this.#endBy({ kind: "rejected" });
      case "interrupted":
        return this.#lookForAnEnd();
      case "stopped":
        this.#endBy({ kind: "stopped", error: outcome.error });
        break;
      case "failed":
        return this.#endBy({ kind: "failed", error: outcome.error });
    }
    this.#observed(event, outcome);
  }

  /**
   * A crash repeats what runs and what is done but not recorded: together never more than may run at once. So it is
   * recorded first. Claims remember what is done by themselves. False when the cycle came to its end meanwhile.
   */
  async #mayBegin(): Promise<boolean> {
    const { concurrency, dedupe } = this.#observer;
    while (dedupe === "none" && this.#progress.unrecorded + this.#running >= concurrency) {
      await this.#guard(() => this.#progress.record());
      if (this.#ending !== undefined) return false;
    }
    this.#running += 1;
    return true;
  }

  #runHandler(event: RecordedEvent): Promise<RunOutcome> {
    const { store, log, zone, executor } = this.#parts;
    const context: HandlerContext = { live: this.#outlook.isLive(event.position), signal: this.#signal };
    return runObserved(event, {
      store,
      log,
      executor,
      observer: this.#observer,
      segment: zone.segment,
      context,
      owner: zone.token.toString(),
      stop: this.#stop,
    });
  }

  #waits(event: RecordedEvent): void {
    this.#progress.park(event);
    this.#tell({ ...this.#about(event), outcome: "waits", durationMs: 0 });
  }

  /** Carries out what was asked for dead letters, while no handler runs. True when there was something. */
  async #replay(): Promise<boolean> {
    const { store, zone } = this.#parts;
    let asked = false;
    for await (const letter of store.deadLetters.list(this.#observer.key, { requested: true })) {
      if (!this.#outlook.isOfSegment(letter.event)) continue;
      while (this.#lanes.unfinished > 0) await this.#lanes.change();
      await this.#progress.record();
      this.#lookForAnEnd();
      if (this.#ending !== undefined) return true;
      if (this.#begun >= this.#parts.maxEvents) return asked;
      const run = (event: RecordedEvent): Promise<RunOutcome> => this.#runHandler(event);
      const outcome = await replayObserved(letter, { observer: this.#observer, zone, run });
      if (outcome === undefined) continue;
      asked = true;
      this.#begun += 1;
      if (outcome.kind === "handled") this.#handled += 1;
      if (outcome.kind === "rejected") this.#endBy({ kind: "rejected" });
      else if (outcome.kind === "failed") this.#endBy({ kind: "failed", error: outcome.error });
      else this.#observed(letter.event, outcome);
    }
    return asked;
  }

  #lookForAnEnd(): void {
    const { zone, signal } = this.#parts;
    if (zone.signal.aborted) this.#endBy({ kind: "zone-lost" });
    else if (signal?.aborted === true) this.#endBy({ kind: "aborted" });
    else if (!zone.enabled) this.#endBy({ kind: "disabled" });
  }

  /** The first reason counts; only a lost zone outranks it, because then nothing can be recorded any more. */
  #endBy(ending: Ending): void {
    if (this.#ending === undefined || ending.kind === "zone-lost") this.#ending = ending;
    this.#lanes.clear();
  }

  /** Runs a step of the cycle itself; what fails for a transient reason is tried again, then given up. */
  async #guard(
    step: () => Promise<void>,
    giveUp: (error: unknown) => void = (error) => this.#endBy({ kind: "failed", error }),
  ): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await step();
      } catch (error) {
        if (isTidemarkError(error, "ZONE_LOST")) return this.#endBy({ kind: "zone-lost" });
        // A commit of ours whose acknowledgement was lost: the zone knows the stored checkpoint now.
        if (isTidemarkError(error, "CHECKPOINT_CONFLICT")) continue;
        if (isTidemarkError(error, "DEAD_LETTERS_FULL")) {
          this.#progress.giveUpParking();
          // Whatever else ends the cycle, it has not got as far as it seemed.
          this.#ending = { kind: "stopped", error };
          this.#lanes.clear();
          // What is done beside the letters is recorded without them.
          continue;
        }
        if (!isTransient(error) || attempt >= TRANSIENT_RETRY.attempts) return giveUp(error);
        await sleep(backoff(attempt, TRANSIENT_RETRY), this.#signal).catch(() => undefined);
      }
    }
  }

  async #result(): Promise<RunResult> {
    const { zone, store, signal } = this.#parts;
    const ending = this.#ending ?? { kind: "caught-up" };
    if (ending.kind === "failed") throw ending.error;
    const counted: { readonly handled: number; readonly position: Position } = {
      handled: this.#handled,
      position: zone.position,
    };
    if (ending.kind !== "stopped") return { kind: ending.kind, ...counted };
    // What it stopped at is met again by the next cycle, whatever interrupts this.
    const { controller, unlink } = linkSignals([zone.signal, signal]);
    try {
      const { segment } = zone;
      const record = (): Promise<void> => store.consumers.recordError(this.#observer.key, ending.error, { segment });
      await patiently(record, controller.signal);
    } catch (error) {
      if (!controller.signal.aborted) throw error;
    } finally {
      unlink();
    }
    return { ...ending, ...counted };
  }

  #observed(event: RecordedEvent, outcome: RunOutcome): void {
    const { kind } = outcome;
    if (kind === "handled") this.#tell({ ...this.#about(event), outcome: kind, durationMs: outcome.durationMs });
    if (kind === "skipped" || kind === "parked" || kind === "stopped") {
      this.#tell({ ...this.#about(event), outcome: kind, durationMs: outcome.durationMs, error: outcome.error });
    }
  }

  #about(event: RecordedEvent): Pick<Observation, "consumer" | "kind" | "event"> {
    return { consumer: this.#observer.key, kind: "observer", event };
  }

  #tell(observation: Observation): void {
    notify(this.#parts.observe, observation);
  }
}

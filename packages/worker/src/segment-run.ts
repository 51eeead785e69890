import {
  isTidemarkError,
  type Position,
  runInZone,
  type RunResult,
  segmentOf,
  type Store,
  type Zone,
} from "@tidemark/core";
import type { Bell } from "./bell.ts";
import type { Say } from "./logger.ts";
import type { Lookout, Sight } from "./lookout.ts";
import { type Defined, labelOf, type ResolvedConsumer } from "./options.ts";
import { Pages } from "./pages.ts";
import type { Slots } from "./slots.ts";
import type { Tail } from "./tail.ts";
import type { ConsumerTelemetry } from "./telemetry.ts";

export interface SegmentRunParts<Tx> {
  readonly store: Store<Tx>;
  readonly given: ResolvedConsumer<Tx>;
  readonly zone: Zone<Tx>;
  readonly tail: Tail;
  readonly lookout: Lookout<Tx>;
  readonly bell: Bell;
  readonly slots: Slots | undefined;
  readonly telemetry: ConsumerTelemetry<Tx>;
  readonly prefetch: boolean;
  readonly retry: { readonly minDelayMs: number; readonly maxDelayMs: number };
  /** How old what is known of the consumer may be. */
  readonly pollMs: number;
  /** Where this segment of a version that is not active has to stop for now; undefined for the active one. */
  readonly until: () => Position | undefined;
  readonly say: Say;
}

/**
 * Why a segment is no longer run here. `drained`: it stands where all its segments stop before their number changes.
 * `outdated`: the consumer was deleted, or has another layout.
 */
export type SegmentEnd = "given-back" | "lost" | "paused" | "drained" | "outdated";

/** What a segment that is held here does. */
export type SegmentMode =
  | { readonly kind: "working" | "resting" | "waiting" }
  /** It failed for good, or for long: nothing is done until `retryAt`, by `performance.now()`. */
  | { readonly kind: "stopped"; readonly error: unknown; readonly failures: number; readonly retryAt: number };

type Outcome = RunResult | { readonly kind: "failed"; readonly error: unknown };

/** Batches in a row before others of the same consumer get their turn. */
const BATCHES = 8;
/** A segment that the ring shows nothing for moves its checkpoint a little later, with everything that came meanwhile. */
const QUIET_MS = 20;
const LONGEST_PAUSE_MS = 1_000;

/** One segment in the hands of this process, from entering its zone to leaving it. */
export class SegmentRun<Tx> {
  readonly segment: number;
  readonly generation: number;
  /** Resolves when the zone was left, or is lost. Never rejects. */
  readonly done: Promise<SegmentEnd>;
  readonly #parts: SegmentRunParts<Tx>;
  readonly #consumer: Defined<Tx>;
  readonly #zone: Zone<Tx>;
  readonly #pages: Pages;
  readonly #stop = new AbortController();
  /** What was seen before may be over: what a promotion fences is who was in the zone by then. */
  readonly #enteredAt = performance.now();
  #mode: SegmentMode = { kind: "waiting" };
  #movedAt = performance.now();
  #position: Position;

  constructor(parts: SegmentRunParts<Tx>) {
    const { tail, prefetch, given, telemetry } = parts;
    const { consumer, zone } = telemetry.segment(parts.zone);
    this.#parts = parts;
    this.#consumer = consumer;
    this.#zone = zone;
    this.segment = zone.segment;
    this.generation = zone.generation;
    this.#position = zone.position;
    this.#pages = new Pages({ tail, fetchSize: given.fetchSize, prefetch });
    this.done = this.#live();
  }

  get position(): Position {
    return this.#zone.position;
  }

  get mode(): SegmentMode {
    return this.#mode;
  }

  /** Since when the checkpoint has not moved although it should have, by `performance.now()`. */
  get movedAt(): number {
    this.#noticeMove();
    return this.#movedAt;
  }

  /** When the first event after the checkpoint was recorded, where that is known. */
  get nextRecordedAt(): Date | undefined {
    return this.#pages.recordedAfter(this.position);
  }

  get isLeaving(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Whether there are events that this segment has not got to and may get to. */
  get isBehind(): boolean {
    return this.#isBehind();
  }

  /** Finishes what is under way, commits it and leaves. */
  giveBack(): void {
    this.#stop.abort();
    this.#parts.bell.ring();
  }

  /** Leaves the zone under the feet of handlers that take too long: what they do is not committed. */
  async cutOff(): Promise<void> {
    this.giveBack();
    await this.#zone.leave().catch(() => undefined);
  }

  async #live(): Promise<SegmentEnd> {
    const { bell, tail } = this.#parts;
    const leaveTail = tail.join();
    const onLost = (): void => bell.ring();
    this.#zone.signal.addEventListener("abort", onLost, { once: true });
    try {
      return await this.#run();
    } catch (error) {
      this.#tell("error", "A segment ended by a mistake of the worker.", error);
      return "given-back";
    } finally {
      leaveTail();
      // A zone that cannot be left runs out by itself.
      await this.#zone.leave().catch(() => undefined);
    }
  }

  async #run(): Promise<SegmentEnd> {
    let failures = 0;
    let fruitless = 0;
    for (;;) {
      const end = this.#end();
      if (end !== undefined) return end;
      const seen = this.#parts.lookout.version;
      const before = this.#zone.position;
      const outcome = await this.#cycle();
      if (outcome === undefined) continue;
      const moved = this.#zone.position > before;
      this.#noticeMove();
      switch (outcome.kind) {
        case "aborted":
          return "given-back";
        case "zone-lost":
          return "lost";
        case "disabled":
          return "paused";
        case "limit":
          failures = 0;
          continue;
        case "stopped":
        case "failed":
          if (moved) failures = 0;
          failures += 1;
          if (isTidemarkError(outcome.error, "CLOSED")) return "given-back";
          await this.#standStill(outcome, failures, seen);
          continue;
        case "until":
          if (this.#isDrained()) return "drained";
          break;
        case "rejected":
        case "caught-up":
          break;
      }
      failures = 0;
      const handled = outcome.handled > 0;
      fruitless = moved || handled ? 0 : fruitless + 1;
      await this.#lookAfter(handled);
      // Nothing should be found to do here without anything being done; if it is, it must not cost a processor.
      if (outcome.kind === "rejected" || fruitless > 2) await this.#pause(this.#parts.retry.minDelayMs, fruitless);
      await this.#rest(seen);
    }
  }

  /** One cycle of the consumer in the zone. Undefined when it did not get its turn. */
  async #cycle(): Promise<Outcome | undefined> {
    const { store, given, slots, telemetry, lookout, pollMs, until } = this.#parts;
    const { consumer, log, executor, fetchSize } = given;
    this.#mode = { kind: "waiting" };
    const release = slots === undefined ? () => undefined : await slots.take(this.#stop.signal);
    if (release === undefined) return undefined;
    this.#mode = { kind: "working" };
    try {
      return await runInZone(store, this.#consumer, this.#zone, {
        log,
        executor,
        fetchSize,
        ...(slots !== undefined && { maxEvents: BATCHES * fetchSize }),
        until: until(),
        read: ({ after, limit, scope }) => this.#pages.read(after, limit, scope),
        look: () => lookout.fresh(consumer.key, { maxMs: pollMs, since: this.#enteredAt }),
        observe: telemetry.observe,
        signal: this.#stop.signal,
      });
    } catch (error) {
      return { kind: "failed", error };
    } finally {
      release();
    }
  }

  /** Waits until there is something to do. */
  async #rest(seen: number): Promise<void> {
    const { bell } = this.#parts;
    this.#mode = { kind: "resting" };
    let quietSince: number | undefined;
    for (;;) {
      const version = bell.version;
      if (this.#end() !== undefined || this.#isAsked(seen)) return;
      const dueInMs = this.#dueInMs();
      if (dueInMs <= 0) return;
      if (!this.#isBehind()) {
        await bell.rest(version, dueInMs);
        continue;
      }
      quietSince ??= performance.now();
      const quietMs = quietSince + QUIET_MS - performance.now();
      if (quietMs <= 0 || !(await this.#isQuiet())) return;
      await bell.rest(version, Math.min(quietMs, dueInMs));
    }
  }

  /** Waits until it is tried again, or until somebody changed something about the consumer. */
  async #standStill(outcome: Extract<Outcome, { error: unknown }>, failures: number, seen: number): Promise<void> {
    const { bell, retry } = this.#parts;
    const { error } = outcome;
    const pause = Math.min(retry.maxDelayMs, retry.minDelayMs * 2 ** (failures - 1));
    const retryAt = performance.now() + pause;
    this.#mode = { kind: "stopped", error, failures, retryAt };
    this.#tell(
      "error",
      `${outcome.kind === "stopped" ? "Stopped at an event" : "Failed"}; trying again in ${pause} ms.`,
      error,
    );
    while (this.#end() === undefined && !this.#isAsked(seen)) {
      const version = bell.version;
      const ms = retryAt - performance.now();
      if (ms <= 0) return;
      await bell.rest(version, ms);
    }
  }

  async #pause(ms: number, times: number): Promise<void> {
    const { bell } = this.#parts;
    const until = performance.now() + Math.min(LONGEST_PAUSE_MS, ms * times);
    while (this.#end() === undefined) {
      const version = bell.version;
      const left = until - performance.now();
      if (left <= 0) return;
      await bell.rest(version, left);
    }
  }

  /** A saga may have set deadlines, and what was due is done: only the database knows the next one. */
  async #lookAfter(handled: boolean): Promise<void> {
    const { given, lookout } = this.#parts;
    if (given.consumer.kind !== "saga" || given.consumer.deadlines.size === 0) return;
    if (handled || this.#dueInMs() <= 0) await lookout.refresh().catch(() => undefined);
  }

  /** Why it cannot go on. */
  #end(): SegmentEnd | undefined {
    if (this.#zone.signal.aborted) return "lost";
    if (this.#stop.signal.aborted) return "given-back";
    const sight = this.#sight();
    if (sight === undefined) return undefined;
    if (sight.state?.kind === undefined) return "outdated";
    return sight.state.generation > this.generation ? "outdated" : undefined;
  }

  /** Whether a look later than `seen` shows that something is wanted of this segment. */
  #isAsked(seen: number): boolean {
    const sight = this.#sight();
    if (sight?.state === undefined || sight.version <= seen) return false;
    const { enabled, layout, requested } = sight.state;
    return !enabled || layout !== undefined || requested.some((bucket) => this.#isOfSegment(bucket));
  }

  #isDrained(): boolean {
    const state = this.#sight()?.state;
    return (
      state?.layout !== undefined && state.generation === this.generation && this.position >= state.layout.position
    );
  }

  #isBehind(): boolean {
    const { tail, until } = this.#parts;
    const { head } = tail;
    if (head === undefined) return true;
    const limit = until();
    return this.position < (limit === undefined || head < limit ? head : limit);
  }

  #isQuiet(): Promise<boolean> {
    return this.#pages.isQuiet(this.position).catch(() => false);
  }

  #dueInMs(): number {
    const dueAt = this.#sight()?.dueAt;
    return dueAt === undefined ? Number.POSITIVE_INFINITY : dueAt - performance.now();
  }

  #isOfSegment(bucket: number): boolean {
    const { segments } = this.#zone;
    return segments === 1 || segmentOf(bucket, segments) === this.segment;
  }

  #sight(): Sight | undefined {
    return this.#parts.lookout.sight(this.#parts.given.consumer.key);
  }

  #noticeMove(): void {
    const { position } = this.#zone;
    if (position === this.#position && this.#isBehind()) return;
    this.#position = position;
    this.#movedAt = performance.now();
  }

  #tell(level: "error", message: string, error: unknown): void {
    const { key } = this.#parts.given.consumer;
    const about = { consumer: key.name, version: key.version, segment: this.segment, error };
    this.#parts.say(level, `${labelOf(key)}, segment ${this.segment}: ${message}`, about);
  }
}

import {
  type ConsumerKey,
  type ConsumerSight,
  isTidemarkError,
  isTransient,
  type Position,
  START,
  type Store,
} from "@tidemark/core";
import type { Bell } from "./bell.ts";
import type { Say } from "./logger.ts";
import type { Lookout, Sight } from "./lookout.ts";
import { keyOf, labelOf, type ResolvedConsumer, type ResolvedOptions } from "./options.ts";
import { type SegmentEnd, SegmentRun } from "./segment-run.ts";
import { shareOf } from "./shares.ts";
import { Slots } from "./slots.ts";
import type { Tail } from "./tail.ts";
import type { ConsumerTelemetry } from "./telemetry.ts";

export interface ConsumerRunParts<Tx> {
  readonly store: Store<Tx>;
  readonly given: ResolvedConsumer<Tx>;
  readonly options: ResolvedOptions<Tx>;
  readonly tail: Tail;
  readonly lookout: Lookout<Tx>;
  readonly bell: Bell;
  readonly telemetry: ConsumerTelemetry<Tx>;
  readonly say: Say;
  /** Asks for another look at who is there: segments are free beyond what this member may take. */
  readonly onFree: () => void;
}

/** One consumer in a worker: holds this member's share of its segments. */
export class ConsumerRun<Tx> {
  readonly given: ResolvedConsumer<Tx>;
  readonly tail: Tail;
  readonly #parts: ConsumerRunParts<Tx>;
  readonly #runs = new Map<number, SegmentRun<Tx>>();
  readonly #slots: Slots | undefined;
  #members: readonly string[];
  #arranging: Promise<void> | undefined;
  #isAskedAgain = false;
  #isClosing = false;
  /** The active version, when this one is not: its checkpoints are not passed. */
  #active: ConsumerKey | undefined;

  constructor(parts: ConsumerRunParts<Tx>) {
    const { given, options } = parts;
    this.#parts = parts;
    this.given = given;
    this.tail = parts.tail;
    this.#members = [options.name];
    // Handlers of an observer mostly wait for others; a limit of segments would only make more of them wait.
    this.#slots = given.consumer.kind === "observer" ? undefined : new Slots(options.concurrency);
  }

  get key(): ConsumerKey {
    return this.given.consumer.key;
  }

  /** The segments that are in our hands. */
  get runs(): ReadonlyMap<number, SegmentRun<Tx>> {
    return this.#runs;
  }

  get members(): readonly string[] {
    return this.#members;
  }

  get sight(): Sight | undefined {
    return this.#parts.lookout.sight(this.key);
  }

  /** The version in whose place this one may come, as it was seen last. Undefined for the active one. */
  get active(): ConsumerSight | undefined {
    return this.#active === undefined ? undefined : this.#parts.lookout.sight(this.#active)?.state;
  }

  /** Who else runs the consumer. */
  meet(members: readonly string[]): void {
    this.#members = members;
  }

  /** Writes the consumer's records, unless they are there, and begins to look at them. */
  async declare(signal: AbortSignal): Promise<void> {
    const { store, given, lookout } = this.#parts;
    const { consumer, log } = given;
    const { kind, start, segments } = consumer;
    await store.consumers.declare(consumer.key, { kind, start, segments, log, signal });
    lookout.watch(consumer.key, consumer.kind === "saga" && consumer.deadlines.size > 0 ? consumer.saga : undefined);
  }

  /** Brings what we hold in line with what was seen: enters, gives back, finishes another layout. Never rejects. */
  arrange(): Promise<void> {
    this.#isAskedAgain = true;
    this.#arranging ??= this.#arrangeAgain().finally(() => (this.#arranging = undefined));
    return this.#arranging;
  }

  /** Finishes what is under way and gives everything back. What takes longer than `ms` is cut off. */
  async drain(ms: number): Promise<void> {
    this.#isClosing = true;
    await this.#arranging;
    const runs = [...this.#runs.values()];
    for (const run of runs) run.giveBack();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<"late">((resolve) => (timer = setTimeout(() => resolve("late"), ms)));
    const outcome = await Promise.race([late, Promise.all(runs.map((run) => run.done))]);
    clearTimeout(timer);
    if (outcome !== "late") return;
    const left = [...this.#runs.values()];
    for (const { segment } of left)
      this.#tell("warn", `Handlers did not finish within ${ms} ms; cut off.`, { segment });
    await Promise.all(left.map((run) => run.cutOff()));
  }

  async #arrangeAgain(): Promise<void> {
    while (this.#isAskedAgain && !this.#isClosing) {
      this.#isAskedAgain = false;
      try {
        await this.#arrange();
      } catch (error) {
        if (isTidemarkError(error, "CLOSED")) return;
        this.#tell(isTransient(error) ? "warn" : "error", "Segments could not be entered; trying again.", { error });
      }
    }
  }

  async #arrange(): Promise<void> {
    const state = this.sight?.state;
    for (const run of this.#runs.values()) void run.movedAt;
    // Runs of a consumer that was deleted, disabled or given another layout end by themselves.
    if (state?.kind === undefined || !state.enabled) return;
    await this.#findActive(state);
    if (await this.#finishLayout(state)) return;

    const share = this.#share(state);
    const staying = [...this.#runs.values()].filter((run) => !run.isLeaving);
    const surplus = staying.length - share;
    if (surplus > 0) {
      const idleFirst = staying.toSorted((a, b) => effort(a) - effort(b) || b.segment - a.segment);
      for (const run of idleFirst.slice(0, surplus)) run.giveBack();
      return;
    }
    const free = this.#free(state);
    for (const segment of free) {
      if (this.#isClosing || this.#runs.size >= share) break;
      await this.#enter(segment);
    }
    if (free.length > 0 && this.#runs.size >= share) this.#parts.onFree();
  }

  #share(state: ConsumerSight): number {
    return shareOf(keyOf(this.key), state.segments.length, this.#members, this.#parts.options.name);
  }

  /** What nobody holds and can be worked on. Members begin at different ones. */
  #free(state: ConsumerSight): readonly number[] {
    const { layout, segments } = state;
    const free = segments
      .filter(({ segment, owner }) => owner === undefined && !this.#runs.has(segment))
      .filter(({ position }) => layout === undefined || position === undefined || position < layout.position)
      .map(({ segment }) => segment);
    const rank = Math.max(0, this.#members.indexOf(this.#parts.options.name));
    const first = Math.floor((segments.length * rank) / Math.max(1, this.#members.length));
    const begin = free.findIndex((segment) => segment >= first);
    return begin <= 0 ? free : [...free.slice(begin), ...free.slice(0, begin)];
  }

  async #enter(segment: number): Promise<void> {
    const { store, given, options, tail, lookout, bell, telemetry, say } = this.#parts;
    const { log } = given;
    let zone: Awaited<ReturnType<typeof store.enterZone>>;
    try {
      zone = await store.enterZone(this.key, { segment, leaseMs: options.leaseMs, owner: options.name, log });
    } catch (error) {
      // Its layout was replaced, or it was deleted, since it was looked at.
      if (isTidemarkError(error, "INVALID_ARGUMENT") || isTidemarkError(error, "CONSUMER_UNKNOWN")) return;
      throw error;
    }
    if (zone === undefined) return;
    const run = new SegmentRun<Tx>({
      store,
      given,
      zone,
      tail,
      lookout,
      bell,
      slots: this.#slots,
      telemetry,
      prefetch: options.prefetch,
      retry: options.retry,
      pollMs: options.poll.maxMs,
      until: () => this.#until(segment),
      say,
    });
    this.#runs.set(segment, run);
    telemetry.changed("entered");
    this.#tell("debug", "Entered.", { segment });
    void run.done.then((end) => this.#ended(run, end));
  }

  async #ended(run: SegmentRun<Tx>, end: SegmentEnd): Promise<void> {
    if (this.#runs.get(run.segment) === run) this.#runs.delete(run.segment);
    this.#parts.telemetry.changed(end);
    this.#tell(end === "lost" ? "warn" : "debug", end === "lost" ? "Lost." : `Left: ${end}.`, { segment: run.segment });
    if (this.#isClosing) return;
    // What was seen before it was left shows it as ours still.
    await this.#parts.lookout.refresh().catch(() => undefined);
  }

  /**
   * Where a version that is not active has to stop: never past the checkpoint of the one that is, segment by segment.
   * While it is not known which one that is, nothing is done.
   */
  #until(segment: number): Position | undefined {
    const state = this.sight?.state;
    if (state === undefined) return START;
    if (state.active) return undefined;
    const active = this.active;
    if (active === undefined) return START;
    const positions = active.segments.map((one) => one.position ?? START);
    const isAlike = positions.length === state.segments.length;
    return (isAlike ? positions[segment] : undefined) ?? least(positions);
  }

  async #findActive(state: ConsumerSight): Promise<void> {
    const { store, lookout } = this.#parts;
    if (state.active) {
      this.#active = undefined;
      return;
    }
    if (this.#active !== undefined && this.active?.active === true) return;
    for await (const other of store.consumers.list()) {
      if (other.name !== this.key.name || !other.active) continue;
      this.#active = { name: other.name, version: other.version };
      if (lookout.isWatched(this.#active)) return;
      lookout.watch(this.#active);
      await lookout.refresh();
      return;
    }
  }

  /** When every segment stands where it has to before their number changes, whoever sees it first writes the new one. */
  async #finishLayout(state: ConsumerSight): Promise<boolean> {
    const { layout, segments } = state;
    if (layout === undefined) return false;
    const isDrained = segments.every(
      ({ position, owner }) => owner === undefined && (position ?? START) >= layout.position,
    );
    if (!isDrained) return false;
    const outcome = await this.#parts.store.consumers.finishResegment(this.key);
    // Whatever stands in its way, the next look shows it.
    if (outcome !== "done") return false;
    this.#tell("info", `Has ${layout.segments} segment(s) now.`);
    await this.#parts.lookout.refresh();
    return true;
  }

  #tell(
    level: "debug" | "info" | "warn" | "error",
    message: string,
    about: { segment?: number; error?: unknown } = {},
  ): void {
    const { name, version } = this.key;
    const where = about.segment === undefined ? "" : `, segment ${about.segment}`;
    this.#parts.say(level, `${labelOf(this.key)}${where}: ${message}`, { consumer: name, version, ...about });
  }
}

/** What is given back first disturbs least. */
function effort(run: { readonly mode: { readonly kind: string } }): number {
  return run.mode.kind === "working" ? 1 : 0;
}

function least(positions: readonly Position[]): Position {
  return positions.reduce((low, position) => (position < low ? position : low), positions[0] ?? START);
}

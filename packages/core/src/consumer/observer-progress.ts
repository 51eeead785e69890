import type { Codec } from "../codec.ts";
import { isTidemarkError } from "../errors.ts";
import type { RecordedEvent } from "../event.ts";
import type { Page } from "../store/store.ts";
import type { Position } from "../values/position.ts";
import type { Observer } from "./observer.ts";
import { type LetterToPark, park } from "./parking.ts";
import { aggregateSequence } from "./sequences.ts";
import type { Zone } from "./zone.ts";

/** An event that was read and that the checkpoint has not passed. */
interface Entry {
  readonly position: Position;
  done: boolean;
  /** Whether the database knows that it is done. */
  recorded: boolean;
  letter?: LetterToPark;
}

/**
 * What an observer has read and completed. Its checkpoint is the highest position below which everything is done; what
 * is done above it is recorded apart, so that a crash repeats at most what was in flight.
 */
export class ObserverProgress<Tx> {
  readonly #observer: Observer;
  readonly #zone: Zone<Tx>;
  readonly #codec: Codec;
  readonly #parkedNow = new Set<string>();
  #completedBefore: ReadonlySet<Position> = new Set();
  #entries: Entry[] = [];
  readonly #byPosition = new Map<Position, Entry>();
  #read: Position;
  #keepError = false;
  /** Whether the last commit failed, perhaps by its acknowledgement only. */
  #isUnsure = false;
  #unrecorded = 0;
  /** The commit under way: pages and handlers ask for one at the same time. */
  #underWay: Promise<unknown> = Promise.resolve();

  constructor(observer: Observer, zone: Zone<Tx>, codec: Codec) {
    this.#observer = observer;
    this.#zone = zone;
    this.#codec = codec;
    this.#read = zone.position;
  }

  /** Where to read on. */
  get read(): Position {
    return this.#read;
  }

  /** How many events were read that the checkpoint has not passed. */
  get ahead(): number {
    return this.#entries.length;
  }

  /** How many events are done that the database does not know of: a crash would repeat them. */
  get unrecorded(): number {
    return this.#unrecorded;
  }

  /** Learns what was completed above the checkpoint before. */
  async load(): Promise<void> {
    await this.#zone.commit(
      async ({ records }) => {
        this.#completedBefore = new Set(await records.completions.list(this.#key(), {}));
        return this.#zone.position;
      },
      { keepError: true },
    );
  }

  /** Takes in a page, and records progress with it. Returns the sequences of its events that are parked. */
  async add(page: Page): Promise<ReadonlySet<string>> {
    const sequences = [...new Set(page.events.map((event) => aggregateSequence(event.aggregate)))];
    const parked = await this.#commit(page.events.length === 0 ? page.next : undefined, sequences);
    for (const { position } of page.events) {
      const done = this.#completedBefore.has(position);
      const entry: Entry = { position, done, recorded: done };
      this.#entries.push(entry);
      this.#byPosition.set(position, entry);
    }
    this.#read = page.next;
    return new Set([...parked, ...sequences.filter((sequence) => this.#parkedNow.has(sequence))]);
  }

  /** Takes in an event that cannot be read, and goes past it. */
  skip(position: Position): void {
    this.#entries.push({ position, done: true, recorded: false });
    this.#unrecorded += 1;
    this.#read = position;
    this.#keepError = true;
  }

  isDone(position: Position): boolean {
    return this.#byPosition.get(position)?.done ?? true;
  }

  /** Whether an event of the same aggregate was parked in this cycle. */
  isParkedNow(event: RecordedEvent): boolean {
    return this.#parkedNow.size > 0 && this.#parkedNow.has(aggregateSequence(event.aggregate));
  }

  done(position: Position, options: { readonly keepError?: boolean } = {}): void {
    const entry = this.#byPosition.get(position);
    if (entry !== undefined && !entry.done) {
      entry.done = true;
      this.#unrecorded += 1;
    }
    if (options.keepError === true) this.#keepError = true;
  }

  /** The letter becomes durable with the next record, which is no later than the first checkpoint that passes it. */
  park(event: RecordedEvent, failure?: LetterToPark["failure"]): void {
    const sequence = aggregateSequence(event.aggregate);
    const entry = this.#byPosition.get(event.position);
    if (entry === undefined) return;
    this.#parkedNow.add(sequence);
    entry.letter = { event, sequences: [sequence], failure };
    entry.done = true;
    this.#unrecorded += 1;
    this.#keepError = true;
  }

  /** No more letters are allowed: what was to be parked counts as not done. */
  giveUpParking(): void {
    for (const entry of this.#entries) {
      if (entry.letter === undefined || entry.recorded) continue;
      entry.done = false;
      delete entry.letter;
    }
  }

  async record(options: { readonly keepError?: boolean } = {}): Promise<void> {
    if (options.keepError === true) this.#keepError = true;
    await this.#commit(undefined, []);
  }

  #commit(end: Position | undefined, sequences: readonly string[]): Promise<readonly string[]> {
    const commit = this.#underWay.then(() => this.#commitNow(end, sequences));
    this.#underWay = commit.catch(() => undefined);
    return commit;
  }

  /** Moves the checkpoint as far as all is done, to `end` when nothing is open. Writes nothing when nothing is new. */
  async #commitNow(end: Position | undefined, sequences: readonly string[]): Promise<readonly string[]> {
    if (this.#isUnsure) await this.#findOut();
    const open = this.#entries.findIndex((entry) => !entry.done);
    const passed = open === -1 ? this.#entries : this.#entries.slice(0, open);
    const above = open === -1 ? [] : this.#entries.slice(open).filter((entry) => entry.done && !entry.recorded);
    const reached = open === -1 ? (end ?? this.#read) : (passed.at(-1)?.position ?? this.#zone.position);
    const checkpoint = reached > this.#zone.position ? reached : this.#zone.position;
    const letters = [...passed, ...above].flatMap(({ letter, recorded }) =>
      letter === undefined || recorded ? [] : [letter],
    );
    const news = checkpoint > this.#zone.position || above.length > 0 || letters.length > 0;
    if (!news && sequences.length === 0) return [];
    let parked: readonly string[] = [];
    const keeps = this.#keepError;
    this.#keepError = false;
    this.#isUnsure = true;
    const commit = this.#zone.commit(
      async ({ records }) => {
        await park(letters, this.#observer, this.#codec, records);
        const { deadLetters, completions } = records;
        if (passed.length > 0 || above.length > 0) {
          await completions.record(
            this.#key(),
            above.map((entry) => entry.position),
            checkpoint,
            {},
          );
        }
        const any = sequences.length > 0 && (await deadLetters.any(this.#observer.key, {}));
        if (any) parked = await deadLetters.parked(this.#observer.key, sequences, undefined, {});
        return checkpoint;
      },
      { keepError: keeps || !news },
    );
    await commit.catch((error: unknown) => {
      // Not written yet: the next attempt must not pass for a success that clears the error.
      this.#keepError ||= keeps;
      throw error;
    });
    this.#isUnsure = false;
    for (const entry of above) entry.recorded = true;
    this.#forget(passed.length);
    return parked;
  }

  /** The checkpoint has passed the first `count` entries, and the letters of these are written. */
  #forget(count: number): void {
    for (const entry of this.#entries.slice(0, count)) this.#byPosition.delete(entry.position);
    // As it is by now: pages were added and handlers have gone on while this was committed.
    this.#entries = this.#entries.slice(count);
    this.#unrecorded = this.#entries.filter((entry) => entry.done && !entry.recorded).length;
    // Events that were given out already are not looked up in the database again, so this ends only when none is left.
    if (this.#entries.length === 0) this.#parkedNow.clear();
  }

  /**
   * Learns what became of a commit that failed. Otherwise the next one, which says more, could be taken for a repetition
   * of it, and what it says in addition would be lost. What it has passed is recorded, and there may be no next one to
   * find that: handlers that wait for it to be recorded would ask for ever.
   */
  async #findOut(): Promise<void> {
    try {
      await this.#zone.commit(() => this.#zone.position, { keepError: true });
    } catch (error) {
      if (!isTidemarkError(error, "CHECKPOINT_CONFLICT")) throw error;
    }
    this.#isUnsure = false;
    const { position } = this.#zone;
    const open = this.#entries.findIndex((entry) => entry.position > position);
    this.#forget(open === -1 ? this.#entries.length : open);
  }

  #key(): { readonly name: string; readonly version: number; readonly generation: number; readonly segment: number } {
    const { consumer, generation, segment } = this.#zone;
    return { ...consumer, generation, segment };
  }
}

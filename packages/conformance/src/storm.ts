import { randomInt } from "node:crypto";
import { openStore, type Position, type RecordedEvent, START, type Store } from "@tidemark/core";
import { account } from "./events.ts";
import { collect, eventually, turn } from "./expect.ts";
import { type Child, spawnChild } from "./processes.ts";
import { mulberry32 } from "./random.ts";
import { longStormAggregates, type LongReport, type LongWriter } from "./scripts/storm.ts";
import type { Subject, TestDatabase } from "./subject.ts";

export interface StormOptions<Tx> {
  /** It ends once so many events are known to be committed. */
  readonly events: number;
  /** Processes that write. Default 4. */
  readonly writers?: number | undefined;
  /** How many write at once in each process. Default 8. */
  readonly callers?: number | undefined;
  /** How often one of the processes is killed, by SIGKILL, and replaced. In milliseconds, default 3 000. */
  readonly killEveryMs?: number | undefined;
  /** What it throws dice with. Default: another one each time, which the result tells. */
  readonly seed?: number | undefined;
  /** Done to the database before anybody writes: to break it, and see that it is noticed. */
  readonly prepare?: ((database: TestDatabase<Tx>) => Promise<void>) | undefined;
}

/** What became of a storm. A store that keeps its promises has zeros everywhere but in the first five. */
export interface StormResult {
  readonly seed: number;
  readonly seconds: number;
  /** In the log. */
  readonly events: number;
  /** Events that writers know to have been rolled back. */
  readonly rolledBack: number;
  /** Processes that were killed. */
  readonly kills: number;
  /** Events that a writer knew to be committed and that are not in the log. */
  readonly lost: number;
  /** Events that were rolled back and are in the log. */
  readonly undead: number;
  readonly readers: readonly ReaderResult[];
}

export interface ReaderResult {
  /** Events of the log that it did not get. */
  readonly skipped: number;
  /** Events that it got again. */
  readonly repeated: number;
  /** Events that are not in the log. */
  readonly invented: number;
  /** Events that were not one above their aggregate's last version, or not above the last position. */
  readonly disordered: number;
  /** How often the head, or where to go on, was before what had been told before. */
  readonly backwards: number;
}

/**
 * Writers in other processes append in every way there is, with delays, rollbacks and savepoints, and are killed now
 * and then, while two readers with checkpoints read along. For subjects with capability `shared`: the law
 * `order/no-skip/storm` for as long as one likes. Rejects when a writer fails for another reason than its death.
 */
export async function storm<Tx>(subject: Subject<Tx>, options: StormOptions<Tx>): Promise<StormResult> {
  const { events, writers = 4, callers = 8, killEveryMs = 3_000, seed = randomInt(2 ** 31), prepare } = options;
  const database = await subject.create();
  const stores: Store<Tx>[] = [];
  const crew = new Crew(database, { seed, callers, beginsItself: subject.capabilities.concurrentWriters });
  const startedAt = performance.now();
  try {
    for (let n = 0; n < 2; n++) stores.push(await openStore(database.adapter()));
    await prepare?.(database);
    const readers = stores.map((store, n) => new Reader(store, n === 0 ? 37 : 1_000));
    const done = new AbortController();
    const reading = Promise.all(readers.map((reader) => reader.readOn(done.signal)));
    try {
      const writing = crew.write(events, writers, killEveryMs);
      await Promise.race([writing, reading]);
      await writing;
    } finally {
      done.abort();
      await reading;
    }
    const seconds = (performance.now() - startedAt) / 1_000;

    const [store] = stores;
    if (store === undefined) throw new TypeError("No store was opened.");
    // A server needs a moment to notice that a client was killed.
    await eventually("Nobody holds readers back in the end", async () => (await store.frontierHolders()).length === 0);
    const { truth, results } = await compareWithTruth(store, crew.names, readers);
    return {
      seed,
      seconds,
      events: truth.size,
      rolledBack: crew.rolledBack.size,
      kills: crew.kills,
      lost: count(crew.committed, (id) => !truth.has(id)),
      undead: count(crew.rolledBack, (id) => truth.has(id)),
      readers: results,
    };
  } finally {
    await crew.disband();
    await Promise.allSettled(stores.map((store) => store.close()));
    await database.drop();
  }
}

/** The processes that write, and what they have said. */
class Crew<Tx> {
  readonly committed = new Set<string>();
  readonly rolledBack = new Set<string>();
  kills = 0;
  readonly #database: TestDatabase<Tx>;
  readonly #traits: Pick<LongWriter, "seed" | "callers" | "beginsItself">;
  readonly #alive = new Map<string, Child>();
  readonly #names: string[] = [];
  #spawned = 0;
  #isEnough = false;
  #isOver = false;

  constructor(database: TestDatabase<Tx>, traits: Pick<LongWriter, "seed" | "callers" | "beginsItself">) {
    this.#database = database;
    this.#traits = traits;
  }

  get names(): readonly string[] {
    return this.#names;
  }

  /** Until so many events are known to be committed, and where writers are killed, one was. */
  async write(events: number, writers: number, killEveryMs: number): Promise<void> {
    for (let n = 0; n < writers; n++) this.#names.push(`writer-${n}`);
    const follow = async (name: string): Promise<void> => {
      while (!this.#isEnough) await this.#follow(name);
    };
    const following = Promise.all(this.#names.map(follow));
    const random = mulberry32(this.#traits.seed);
    let killedAt = performance.now();
    const watching = (async () => {
      while (this.committed.size < events || (this.kills === 0 && killEveryMs < Infinity)) {
        await turn(20);
        if (this.#isOver) return;
        if (performance.now() - killedAt < killEveryMs) continue;
        killedAt = performance.now();
        await this.#kill(this.#names[Math.floor(random() * writers)] ?? "");
      }
      this.#isEnough = true;
      for (const child of this.#alive.values()) child.say("enough");
    })();
    // A writer that fails ends the storm at once.
    await Promise.race([watching, following]);
    await following;
  }

  async disband(): Promise<void> {
    this.#isOver = true;
    await Promise.all([...this.#alive.values()].map((child) => child.kill()));
  }

  /** One process from its beginning to its end, however that comes. */
  async #follow(name: string): Promise<void> {
    this.#spawned += 1;
    const writer: LongWriter = { ...this.#traits, name, seed: this.#traits.seed + this.#spawned };
    const child = await spawnChild(this.#database, { script: "storm/writer", args: writer, tooth: undefined });
    this.#alive.set(name, child);
    if (this.#isEnough) child.say("enough");
    for (;;) {
      const report = await child.hear("so far").catch(() => undefined);
      if (report === undefined) break;
      const { committed, rolledBack } = asReport(report);
      for (const id of committed) this.committed.add(id);
      for (const id of rolledBack) this.rolledBack.add(id);
    }
    // Not there any more: it was killed.
    if (this.#alive.get(name) !== child) return;
    this.#alive.delete(name);
    await child.result();
  }

  async #kill(name: string): Promise<void> {
    const child = this.#alive.get(name);
    if (child === undefined) return;
    this.#alive.delete(name);
    this.kills += 1;
    await child.kill();
  }
}

/** A reader with a checkpoint, and what it got. */
class Reader {
  readonly #store: Pick<Store<unknown>, "readAll" | "head">;
  readonly #limit: number;
  readonly #seen = new Set<string>();
  readonly #versions = new Map<string, number>();
  #checkpoint: Position = START;
  #repeated = 0;
  #disordered = 0;
  #backwards = 0;
  #head: Position = START;

  constructor(store: Pick<Store<unknown>, "readAll" | "head">, limit: number) {
    this.#store = store;
    this.#limit = limit;
  }

  async readOn(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const found = await this.#page();
      if (found > 0) continue;
      const head = await this.#store.head();
      if (head < this.#head) this.#backwards += 1;
      this.#head = head;
      await turn(1);
    }
  }

  async catchUp(): Promise<void> {
    while ((await this.#page()) > 0);
  }

  compare(truth: ReadonlyMap<string, RecordedEvent>): ReaderResult {
    return {
      skipped: count(truth.keys(), (id) => !this.#seen.has(id)),
      repeated: this.#repeated,
      invented: count(this.#seen, (id) => !truth.has(id)),
      disordered: this.#disordered,
      backwards: this.#backwards,
    };
  }

  async #page(): Promise<number> {
    const { events, next } = await this.#store.readAll({ after: this.#checkpoint, limit: this.#limit });
    let last = this.#checkpoint;
    for (const { id, position, aggregate, version } of events) {
      if (this.#seen.has(id)) this.#repeated += 1;
      if (position <= last || version !== (this.#versions.get(aggregate.id) ?? 0) + 1) this.#disordered += 1;
      this.#seen.add(id);
      this.#versions.set(aggregate.id, version);
      last = position;
    }
    if (next < this.#checkpoint) this.#backwards += 1;
    this.#checkpoint = next;
    return events.length;
  }
}

/** How long a server may go on committing what processes had sent before they were killed. */
const AFTERMATH_MS = 5_000;

/** Asks again until no reader lacks an event of the log nor has another one, or until nothing late can be the reason. */
async function compareWithTruth<Tx>(
  store: Store<Tx>,
  names: readonly string[],
  readers: readonly Reader[],
): Promise<{ readonly truth: ReadonlyMap<string, RecordedEvent>; readonly results: readonly ReaderResult[] }> {
  for (let round = 1, end = performance.now() + AFTERMATH_MS; ; round++, await turn(100)) {
    const truth = await readTruth(store, names);
    for (const reader of readers) await reader.catchUp();
    const results = readers.map((reader) => reader.compare(truth));
    const agree = results.every(({ skipped, invented }) => skipped === 0 && invented === 0);
    if (agree || (round > 3 && performance.now() > end)) return { truth, results };
  }
}

/** What is in the log, read aggregate by aggregate: in another way than the readers' own. */
async function readTruth<Tx>(store: Store<Tx>, names: readonly string[]): Promise<ReadonlyMap<string, RecordedEvent>> {
  const truth = new Map<string, RecordedEvent>();
  for (const id of longStormAggregates(names)) {
    for (const event of await collect(store.readAggregate(account(id)))) truth.set(event.id, event);
  }
  return truth;
}

function count<T>(items: Iterable<T>, condition: (item: T) => boolean): number {
  let found = 0;
  for (const item of items) if (condition(item)) found += 1;
  return found;
}

/** What the script said crossed a process boundary; it is what the script wrote. */
function asReport(said: unknown): LongReport {
  return said as LongReport;
}

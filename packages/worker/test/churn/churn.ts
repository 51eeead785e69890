import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Subject, TestDatabase } from "@tidemark/conformance";
import { type EventSource, openStore, type RecordedEvent, type Store } from "@tidemark/core";

export interface ChurnOptions {
  readonly seconds: number;
  readonly seed: number;
  /** Whether a process is stopped wherever it is, or between transactions. */
  readonly freeze: "anywhere" | "between-transactions";
  readonly processes?: number;
  readonly segments?: number;
  /** Between one misfortune and the next, in the mean. */
  readonly everyMs?: number;
  readonly leaseMs?: number;
}

export interface ChurnResult {
  readonly deposits: number;
  readonly kills: number;
  readonly freezes: number;
  /** Handlers of the observer that ran more than once for an event. */
  readonly repeated: number;
  /** How long it took until nothing was left to do. */
  readonly settledInMs: number;
}

const ACCOUNTS = 40;
/** Handlers of the observer at once in one of its two segments, those that are done and not recorded yet among them. */
const IN_FLIGHT = 4;

/**
 * Worker processes on one database, of which one is killed or stopped again and again while events are appended. Throws
 * unless in the end every event was applied once by projector and saga, the observer has repeated no more than what was
 * in flight, and nothing is left to do.
 */
export async function churn<Tx>(subject: Subject<Tx>, options: ChurnOptions): Promise<ChurnResult> {
  const { seconds, seed, freeze, processes = 4, segments = 16, everyMs = 2_500, leaseMs = 1_500 } = options;
  const random = mulberry(seed);
  const folder = mkdtempSync(join(tmpdir(), "tidemark-churn-"));
  const database = await subject.create();
  const store = await openStore(database.adapter());
  const crew: Hand[] = [];
  let hired = 0;
  const hire = (): Hand => {
    hired += 1;
    const name = `worker ${hired}`;
    const diary = join(folder, `${hired}.txt`);
    const child = new Hand(startWorker(database, { name, segments, leaseMs, diary }));
    crew.push(child);
    return child;
  };
  let isOver = false;
  const counts = { kills: 0, freezes: 0 };
  try {
    for (let index = 0; index < processes; index++) hire();
    const appending = append(store, random, () => isOver);
    const end = performance.now() + seconds * 1_000;
    while (performance.now() < end) {
      await pause(everyMs * (0.5 + random()));
      const victim = crew[Math.floor(random() * crew.length)];
      if (victim === undefined || victim.isFrozen || performance.now() > end) continue;
      if (random() < 0.5) {
        counts.kills += 1;
        crew.splice(crew.indexOf(victim), 1);
        await victim.kill();
        hire();
      } else {
        counts.freezes += 1;
        // Some longer than the lease, some not.
        void victim.freeze(leaseMs * (0.3 + 2 * random()), freeze);
      }
    }
    isOver = true;
    const deposits = await appending;
    await Promise.all(crew.map((hand) => hand.thawed()));
    const startedAt = performance.now();
    await untilSettled(store, 120_000);
    const settledInMs = Math.round(performance.now() - startedAt);
    for (const hand of crew) hand.drain();
    for (const hand of crew) assert.equal(await hand.exit, 0, "Every worker that is left ends well.");
    await checkLedger(store);
    await checkTally(store);
    const repeated = await checkMail(store, folder, counts.kills + counts.freezes);
    return { deposits, ...counts, repeated, settledInMs };
  } finally {
    isOver = true;
    await Promise.all(crew.map((hand) => hand.kill()));
    await store.close();
    await database.drop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One of the processes. */
class Hand {
  readonly exit: Promise<number | null>;
  readonly #process: ChildProcess;
  readonly #waking: NodeJS.Timeout;
  #frozen: Promise<void> | undefined;
  #isGone = false;

  constructor(process: ChildProcess) {
    this.#process = process;
    // Also for one that stopped later than it was asked to.
    this.#waking = setInterval(() => {
      if (this.#frozen === undefined) process.kill("SIGCONT");
    }, 200);
    this.exit = once(process, "exit").then(([code]: unknown[]) => {
      this.#isGone = true;
      clearInterval(this.#waking);
      return typeof code === "number" ? code : null;
    });
  }

  get isFrozen(): boolean {
    return this.#frozen !== undefined;
  }

  async freeze(ms: number, where: ChurnOptions["freeze"]): Promise<void> {
    this.#frozen = pause(ms);
    if (where === "anywhere") this.#process.kill("SIGSTOP");
    else this.#process.send("freeze");
    await this.#frozen;
    this.#process.kill("SIGCONT");
    this.#frozen = undefined;
  }

  /** Resolves when it goes on. */
  async thawed(): Promise<void> {
    await this.#frozen;
  }

  drain(): void {
    if (!this.#isGone) this.#process.send("drain");
  }

  async kill(): Promise<void> {
    if (!this.#isGone) this.#process.kill("SIGKILL");
    await this.exit;
  }
}

function startWorker<Tx>(
  database: TestDatabase<Tx>,
  about: { readonly name: string; readonly segments: number; readonly leaseMs: number; readonly diary: string },
): ChildProcess {
  if (database.process === undefined) throw new TypeError("This subject cannot be reached from another process.");
  const child = fork(fileURLToPath(new URL("./worker.child.mjs", import.meta.url)), [], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    execArgv: [],
  });
  child.send({ ...database.process, ...about });
  return child;
}

async function append<Tx>(store: Store<Tx>, random: () => number, isOver: () => boolean): Promise<number> {
  let amount = 0;
  while (!isOver()) {
    const requests = Array.from({ length: 1 + Math.floor(random() * 4) }, () => {
      amount += 1;
      const id = `account ${Math.floor(random() * ACCOUNTS)}`;
      return {
        aggregate: { type: "account", id },
        events: [{ id: `deposit ${amount}`, type: "deposited", data: { amount } }],
      };
    });
    await Promise.all(requests.map((request) => appendPatiently(store, request)));
    await pause(10 + random() * 30);
  }
  return amount;
}

/** The ids make it idempotent. */
async function appendPatiently<Tx>(store: Store<Tx>, request: Parameters<Store<Tx>["append"]>[0]): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await store.append(request);
      return;
    } catch (error) {
      if (attempt === 20) throw error;
      await pause(100);
    }
  }
}

async function untilSettled<Tx>(store: Store<Tx>, ms: number): Promise<void> {
  const deadline = performance.now() + ms;
  const last = (await readAll(store, "deposited")).at(-1)?.position ?? 0n;
  for (;;) {
    const states = await store.consumers.look(["ledger", "tally", "mail"]);
    const behind = states.flatMap((state) =>
      (state?.segments ?? [])
        .filter(({ position }) => position === undefined || position < last)
        .map(() => state?.name),
    );
    if (behind.length === 0) return;
    assert.ok(performance.now() < deadline, `Still behind after ${ms} ms: ${behind.join(", ")}.`);
    await pause(50);
  }
}

async function checkLedger(store: EventSource): Promise<void> {
  const deposits = await readAll(store, "deposited");
  const applied = await readAll(store, "applied");
  const order = new Map(deposits.map(({ position, aggregate }) => [position.toString(), aggregate.id]));
  const seen = new Set<string>();
  const last = new Map<string, bigint>();
  for (const event of applied) {
    const position = positionIn(event);
    assert.ok(!seen.has(position), `The projector has applied the deposit at ${position} once.`);
    seen.add(position);
    const account = order.get(position) ?? "";
    assert.ok(BigInt(position) > (last.get(account) ?? 0n), `The projector keeps the order of ${account}.`);
    last.set(account, BigInt(position));
  }
  assert.equal(seen.size, deposits.length, "The projector has applied every deposit.");
}

async function checkTally<Tx>(store: Store<Tx>): Promise<void> {
  const counts = new Map<string, number>();
  for (const { aggregate } of await readAll(store, "deposited")) {
    counts.set(aggregate.id, (counts.get(aggregate.id) ?? 0) + 1);
  }
  for (const [account, count] of counts) {
    const sagas = await store.sagas.find("tally", "account", account);
    assert.deepEqual(
      sagas.map(({ data }) => data),
      [{ count }],
      `The saga has counted each deposit to ${account} once.`,
    );
  }
}

async function checkMail(store: EventSource, folder: string, misfortunes: number): Promise<number> {
  const lines = readdirSync(folder).flatMap((name) =>
    readFileSync(join(folder, name), "utf8").split("\n").filter(Boolean),
  );
  const seen = lines.filter((line) => line !== "lost");
  // A worker may also be late for the lease of a segment because the machine is busy.
  const losses = lines.length - seen.length;
  const most = (2 * misfortunes + losses) * IN_FLIGHT;
  const once = new Set(seen);
  const lost = (await readAll(store, "deposited")).filter(({ position }) => !once.has(position.toString()));
  assert.equal(lost.length, 0, "The observer has seen every deposit.");
  const repeated = seen.length - once.size;
  assert.ok(repeated <= most, `The observer has repeated ${repeated} events, of at most ${most} in flight.`);
  return repeated;
}

async function readAll(store: EventSource, type: string): Promise<readonly RecordedEvent[]> {
  const events: RecordedEvent[] = [];
  let after: RecordedEvent["position"] | undefined;
  for (;;) {
    const page = await store.readAll({ after, limit: 5_000, scope: { eventTypes: [type] } });
    for (const event of page.events) events.push(event);
    after = page.next;
    if (page.events.length === 0) return events;
  }
}

function positionIn(event: RecordedEvent): string {
  const { data } = event;
  assert.ok(typeof data === "object" && data !== null && "position" in data);
  return String(data.position);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The same numbers for the same seed. */
function mulberry(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

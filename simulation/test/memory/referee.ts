import type { MemoryDatabase } from "@tidemark/adapter-memory";
import type { ConsumerKey, Position, RecordedEvent } from "@tidemark/core";
import type { Adapter, ConsumerRow, LetterRow, SegmentKey, TransactionPort } from "@tidemark/core/spi";
import type { MemoryTransaction } from "@tidemark/adapter-memory";
import type { FenceHeld } from "./gated-adapter.ts";
import { aggregateLabel, type Plan } from "./plan.ts";
import type { Poison } from "./poison.ts";
import type { Process } from "./scheduler.ts";
import type { Witness } from "./witness.ts";

interface Lease {
  readonly process: Process;
  readonly token: bigint;
  expiresAt: number;
  left: boolean;
}

interface Claim {
  readonly process: Process;
  expiresAt: number;
}

/**
 * Watches what is really done to the database, and says what must not be. It reads by itself, without taking turns, so
 * that looking changes nothing.
 */
export class Referee implements Witness {
  readonly violations: string[] = [];
  /** The checkpoint that each consumer was declared at. */
  readonly starts: Map<string, Position> = new Map();
  /** Letters that were removed because an operator gave them up, as `consumer/position`. */
  readonly givenUp: Set<string> = new Set();
  /** Events that an observer's handler has come through, as `consumer/position`. */
  readonly observed: Set<string> = new Set();
  repetitions = 0;
  readonly clock: () => number;
  readonly #database: MemoryDatabase;
  readonly #adapter: Adapter<MemoryTransaction>;
  readonly #poison: Poison;
  readonly #cancels: boolean;
  readonly #leases = new Map<string, Lease>();
  readonly #checkpoints = new Map<string, Position>();
  readonly #claims = new Map<string, Claim>();
  readonly #claimsDone = new Set<string>();

  constructor(
    database: MemoryDatabase,
    adapter: Adapter<MemoryTransaction>,
    poison: Poison,
    clock: () => number,
    cancels: boolean,
  ) {
    this.#cancels = cancels;
    this.#database = database;
    this.#adapter = adapter;
    this.#poison = poison;
    this.clock = clock;
  }

  violation(what: string): void {
    this.violations.push(what);
  }

  declared(consumer: string, row: ConsumerRow): void {
    const position = row.segments[0]?.position;
    if (position === undefined || this.starts.has(consumer)) return;
    this.starts.set(consumer, position);
    this.#checkpoints.set(consumer, position);
  }

  entered(process: Process, { name }: SegmentKey, token: bigint, ms: number): void {
    const before = this.#leases.get(name);
    if (before !== undefined && before.expiresAt > this.clock()) {
      this.violation(`zones/exclusive: ${process.name} entered ${name}, which ${before.process.name} holds`);
    }
    if (before !== undefined && before.token >= token) this.violation(`zones: the token of ${name} was not raised`);
    this.#leases.set(name, { process, token, expiresAt: this.clock() + ms, left: false });
  }

  renewed(process: Process, { name }: SegmentKey, token: bigint, ms: number): void {
    const lease = this.#leases.get(name);
    if (lease === undefined || lease.token !== token || lease.left) {
      this.violation(`zones: ${process.name} renewed ${name}, which it has lost`);
    } else lease.expiresAt = this.clock() + ms;
  }

  left({ name }: SegmentKey, token: bigint): void {
    const lease = this.#leases.get(name);
    if (lease?.token !== token) return;
    lease.expiresAt = 0;
    lease.left = true;
  }

  fenceCommits(process: Process, { key: { name }, token, from, to, leaseMs, at }: FenceHeld): void {
    const lease = this.#leases.get(name);
    if (lease === undefined || lease.token !== token || lease.left) {
      this.violation(`fenced: ${process.name} commits for ${name}, which it has lost`);
    } else lease.expiresAt = at + leaseMs;
    const checkpoint = this.#checkpoints.get(name);
    if (checkpoint !== from) this.violation(`checkpoint of ${name}: commit from ${from}, stored is ${checkpoint}`);
    if (to < from) this.violation(`never-backwards: ${name} from ${from} to ${to}`);
    this.#checkpoints.set(name, to);
  }

  gaveUp(consumer: string, position: Position): void {
    this.givenUp.add(`${consumer}/${position}`);
  }

  claimed(process: Process, consumer: string, key: string, ms: number): void {
    const id = `${consumer}/${key}`;
    const before = this.#claims.get(id);
    if (this.#claimsDone.has(id)) this.violation(`claims: ${process.name} claimed ${id}, which was completed`);
    if (before !== undefined && before.expiresAt > this.clock()) this.violation(`claims/once: ${id} was claimed twice`);
    this.#claims.set(id, { process, expiresAt: this.clock() + ms });
  }

  claimCompleted(consumer: string, key: string): void {
    this.#claimsDone.add(`${consumer}/${key}`);
  }

  claimReleased(process: Process, consumer: string, key: string): void {
    const claim = this.#claims.get(`${consumer}/${key}`);
    if (claim?.process === process) claim.expiresAt = 0;
  }

  /** An observer's handler is about to run. */
  async observerBegins(process: Process, plan: Plan, event: RecordedEvent): Promise<void> {
    const { name } = plan;
    const key = { name, version: 1 };
    const [letter, completed] = await this.#peek(
      async (port) =>
        [
          await port.deadLetters.get(key, event.position, {}),
          await port.completions.list({ ...key, generation: 1, segment: 0 }, {}),
        ] as const,
    );
    const id = `${name}/${event.position}`;
    // One that has lost the zone without knowing may repeat what its successor has done.
    if (this.#leases.get(name)?.process === process) {
      if (letter !== undefined && letter.request === undefined && letter.attempts === 0 && !this.#cancels) {
        this.violation(`parked: ${name} handles ${event.position}, which waits behind a letter`);
      }
      const done = event.position <= (this.#checkpoints.get(name) ?? 0n) || completed.includes(event.position);
      if (done && letter === undefined)
        this.violation(`observer: ${name} repeats ${event.position}, which was recorded`);
    }
    if (this.observed.has(id)) this.repetitions += 1;
    const claim = [...this.#claims].find(
      ([claimed]) => claimed.startsWith(`${name}/`) && claimed.endsWith(`:${event.position}`),
    );
    if (plan.claims && claim === undefined) this.violation(`claims: ${name} handles ${event.position} without a claim`);
    await this.#checkPredecessors(plan, event);
  }

  observerIsThrough(plan: Plan, event: RecordedEvent): void {
    this.observed.add(`${plan.name}/${event.position}`);
  }

  /** Whether an event may be without an effect: an operator gave it up, or it failed as often as a policy of skipping allows. */
  mayBeMissing(plan: Pick<Plan, "name" | "failure">, position: Position): boolean {
    if (this.givenUp.has(`${plan.name}/${position}`)) return true;
    return plan.failure.then === "skip" && this.#poison.failures(plan.name, position) >= plan.failure.attempts;
  }

  letters(consumer: ConsumerKey): Promise<readonly LetterRow[]> {
    const query = { after: 0n as Position, limit: 10_000, requested: false, sequence: undefined };
    return this.#adapter.deadLetters.list(consumer, query, {});
  }

  /** Only what a handler has failed on may be parked as failed: never for the sake of a lost connection. */
  async checkLetters(plans: readonly Plan[]): Promise<void> {
    for (const { name } of plans) {
      for (const { position, attempts } of await this.letters({ name, version: 1 })) {
        if (attempts === 0 || this.#poison.failures(name, position) > 0) continue;
        this.violation(`transient/never-dead-letters: ${name} parked ${position}, which never failed`);
      }
    }
  }

  async #checkPredecessors(plan: Plan, event: RecordedEvent): Promise<void> {
    const query = {
      ref: event.aggregate,
      from: 1,
      to: event.version - 1,
      direction: "forward",
      limit: 10_000,
      bytes: 1e9,
    } as const;
    const start = this.starts.get(plan.name) ?? 0n;
    for (const { position, type } of await this.#adapter.readAggregate(query, {})) {
      if (position <= start || !plan.inScope({ type, aggregate: event.aggregate })) continue;
      if (this.observed.has(`${plan.name}/${position}`) || this.mayBeMissing(plan, position)) continue;
      const [before, after] = [position, event.position];
      this.violation(
        `order: ${plan.name} handles ${after} of ${aggregateLabel(event)} before it is through with ${before}`,
      );
    }
  }

  async #peek<T>(look: (port: TransactionPort) => Promise<T>): Promise<T> {
    const tx = this.#database.begin();
    try {
      return await look(this.#adapter.within(tx));
    } finally {
      await tx.rollback();
    }
  }
}

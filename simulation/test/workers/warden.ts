import type { MemoryDatabase, MemoryTransaction } from "@tidemark/adapter-memory";
import { bucketOf, type ConsumerKey, type Position, type RecordedEvent, segmentOf } from "@tidemark/core";
import type { Adapter, ConsumerRow, LetterRow, SegmentKey, TransactionPort } from "@tidemark/core/spi";
import type { FenceHeld } from "../memory/gated-adapter.ts";
import { aggregateLabel } from "../memory/plan.ts";
import type { Process } from "../memory/scheduler.ts";
import type { Witness } from "../memory/witness.ts";
import { labelOf, type Plan } from "./plan.ts";

/** A zone that a process has entered and not left, whether it knows that it has lost it or not. */
interface Lease {
  readonly process: Process;
  readonly key: SegmentKey;
  readonly token: bigint;
  expiresAt: number;
}

/**
 * Watches segments, layouts and versions as they are really stored, and says what must not be. It reads by itself,
 * without taking turns, so that looking changes nothing.
 */
export class Warden implements Witness {
  readonly violations: string[] = [];
  readonly clock: () => number;
  /** Events that an observer's handler has come through, as `label/position`. */
  readonly observed: Set<string> = new Set();
  /** The number of segments that each version of a consumer is to have in the end. */
  readonly layouts: Map<string, number> = new Map();
  readonly counts = { resegmented: 0, promoted: 0, repeated: 0 };
  readonly #database: MemoryDatabase;
  readonly #adapter: Adapter<MemoryTransaction>;
  /** The lease that counts, by segment. */
  readonly #leases = new Map<string, Lease>();
  readonly #open = new Set<Lease>();
  readonly #checkpoints = new Map<string, Position>();

  constructor(database: MemoryDatabase, adapter: Adapter<MemoryTransaction>, clock: () => number) {
    this.#database = database;
    this.#adapter = adapter;
    this.clock = clock;
  }

  /** The adapter, of whose changes of layouts and versions the warden hears as they are committed. */
  watching(adapter: Adapter<MemoryTransaction>): Adapter<MemoryTransaction> {
    const { consumers } = adapter;
    const changed: Partial<typeof consumers> = {
      requestLayout: async (key, layout, op) => {
        const outcome = await consumers.requestLayout(key, layout, op);
        if (outcome === "done") await this.#layoutRequested(key, layout?.segments);
        return outcome;
      },
      applyLayout: async (key, op) => {
        const outcome = await consumers.applyLayout(key, op);
        if (outcome === "done") await this.#layoutApplied(key);
        return outcome;
      },
      promote: async (name, from, to, op) => {
        const before = await this.#row({ name, version: to });
        const outcome = await consumers.promote(name, from, to, op);
        if (outcome === "done" && before?.active !== true) await this.#promoted(name, from, to);
        return outcome;
      },
    };
    return { ...adapter, consumers: { ...consumers, ...changed } };
  }

  violation(what: string): void {
    this.violations.push(what);
  }

  declared(_consumer: string, row: ConsumerRow): void {
    this.#setLayout(row.key, row.segments.length);
    for (const { segment, position } of row.segments) {
      const id = idOf({ ...row.key, generation: row.generation, segment });
      if (position !== undefined && !this.#checkpoints.has(id)) this.#checkpoints.set(id, position);
    }
  }

  entered(process: Process, key: SegmentKey, token: bigint, ms: number): void {
    const before = this.#leases.get(idOf(key));
    if (before !== undefined && before.expiresAt > this.clock()) {
      this.violation(`zones/exclusive: ${process.name} entered ${idOf(key)}, which ${before.process.name} holds`);
    }
    const lease = { process, key, token, expiresAt: this.clock() + ms };
    this.#leases.set(idOf(key), lease);
    this.#open.add(lease);
  }

  renewed(process: Process, key: SegmentKey, token: bigint, ms: number): void {
    const lease = this.#leases.get(idOf(key));
    if (lease?.token !== token) this.violation(`zones: ${process.name} renewed ${idOf(key)}, which it has lost`);
    else lease.expiresAt = this.clock() + ms;
  }

  left(key: SegmentKey, token: bigint): void {
    for (const lease of this.#open) {
      if (lease.token !== token || idOf(lease.key) !== idOf(key)) continue;
      this.#open.delete(lease);
      if (this.#leases.get(idOf(key)) === lease) this.#leases.delete(idOf(key));
    }
  }

  fenceCommits(process: Process, { key, token, from, to, leaseMs, at }: FenceHeld): void {
    const id = idOf(key);
    const lease = this.#leases.get(id);
    if (lease?.token !== token) this.violation(`fenced: ${process.name} commits for ${id}, which it has lost`);
    else lease.expiresAt = at + leaseMs;
    const checkpoint = this.#checkpoints.get(id);
    if (checkpoint !== from) this.violation(`checkpoint of ${id}: commit from ${from}, stored is ${checkpoint}`);
    if (to < from) this.violation(`never-backwards: ${id} from ${from} to ${to}`);
    this.#checkpoints.set(id, to);
  }

  /** Nobody gives a letter up here, and nobody claims. */
  gaveUp(consumer: string, position: Position): void {
    this.violation(`parked: ${consumer} gave up ${position}`);
  }
  claimed(): void {}
  claimReleased(): void {}
  claimCompleted(): void {}

  /** An observer's handler is about to run. */
  async observerBegins(process: Process, plan: Plan, version: number, event: RecordedEvent): Promise<void> {
    const key = { name: plan.name, version };
    const label = labelOf(plan.name, version);
    const id = `${label}/${event.position}`;
    if (this.observed.has(id)) this.counts.repeated += 1;
    const row = await this.#row(key);
    if (row === undefined) return;
    const segment = segmentOf(bucketOf(event.aggregate), row.segments.length);
    const segmentKey = { ...key, generation: row.generation, segment };
    // One that has lost a zone without knowing may repeat what its successor has done.
    const lease = this.#leases.get(idOf(segmentKey));
    const mine = [...this.#open].filter(
      (open) => open.process === process && open.key.name === key.name && open.key.version === version,
    );
    if (lease?.process === process && mine.every((open) => this.#leases.get(idOf(open.key)) === open)) {
      const [letter, completed] = await this.#peek(
        async (port) =>
          [await port.deadLetters.get(key, event.position, {}), await port.completions.list(segmentKey, {})] as const,
      );
      const checkpoint = this.#checkpoints.get(idOf(segmentKey)) ?? 0n;
      if (letter === undefined && (event.position <= checkpoint || completed.includes(event.position)))
        this.violation(`observer: ${label} repeats ${event.position}, which was recorded`);
    }
    await this.#checkPredecessors(plan, label, event);
  }

  letters(consumer: ConsumerKey): Promise<readonly LetterRow[]> {
    const query = { after: 0n as Position, limit: 10_000, requested: false, sequence: undefined };
    return this.#adapter.deadLetters.list(consumer, query, {});
  }

  /** Nobody gives an event up here. */
  mayBeMissing(): boolean {
    return false;
  }

  #row(key: ConsumerKey): Promise<ConsumerRow | undefined> {
    return this.#adapter.consumers.get(key, {});
  }

  #setLayout({ name, version }: ConsumerKey, segments: number): void {
    const label = labelOf(name, version);
    if (!this.layouts.has(label)) this.layouts.set(label, segments);
  }

  async #layoutRequested(key: ConsumerKey, segments: number | undefined): Promise<void> {
    this.layouts.set(labelOf(key.name, key.version), segments ?? (await this.#row(key))?.segments.length ?? 0);
  }

  async #layoutApplied(key: ConsumerKey): Promise<void> {
    const row = await this.#row(key);
    if (row === undefined) return;
    this.counts.resegmented += 1;
    const label = labelOf(key.name, key.version);
    if (row.segments.length !== this.layouts.get(label))
      this.violation(`layout: ${label} has ${row.segments.length} segments instead of ${this.layouts.get(label)}`);
    const old = this.#ofGeneration({ ...key, generation: row.generation - 1 });
    for (const [id, lease] of old.leases) {
      if (lease.expiresAt > this.clock()) this.violation(`layout: ${id} is held while ${label} gets another layout`);
      this.#leases.delete(id);
    }
    for (const { segment, position = 0n as Position } of row.segments) {
      this.#checkpoints.set(idOf({ ...key, generation: row.generation, segment }), position);
      for (const [id, before] of old.checkpoints)
        if (before !== position) this.violation(`layout: ${id} stood at ${before}, its successors at ${position}`);
    }
  }

  async #promoted(name: string, from: number, to: number): Promise<void> {
    this.counts.promoted += 1;
    for (const version of [from, to]) {
      const row = await this.#row({ name, version });
      const { leases } = this.#ofGeneration({ name, version, generation: row?.generation ?? 0 });
      for (const [id] of leases) this.#leases.delete(id);
    }
    await this.#takeOver(name, from, to);
  }

  /** What the old version had completed above its checkpoint, the new one has not to do again. */
  async #takeOver(name: string, from: number, to: number): Promise<void> {
    const row = await this.#row({ name, version: to });
    for (const { segment } of row?.segments ?? []) {
      const key = { name, version: to, generation: row?.generation ?? 0, segment };
      for (const position of await this.#peek((port) => port.completions.list(key, {})))
        if (this.observed.has(`${labelOf(name, from)}/${position}`))
          this.observed.add(`${labelOf(name, to)}/${position}`);
    }
  }

  #ofGeneration(key: Omit<SegmentKey, "segment">): {
    readonly leases: readonly (readonly [string, Lease])[];
    readonly checkpoints: readonly (readonly [string, Position])[];
  } {
    const prefix = idOf({ ...key, segment: 0 }).slice(0, -1);
    return {
      leases: [...this.#leases].filter(([id]) => id.startsWith(prefix)),
      checkpoints: [...this.#checkpoints].filter(([id]) => id.startsWith(prefix)),
    };
  }

  async #checkPredecessors(plan: Plan, label: string, event: RecordedEvent): Promise<void> {
    const all = { from: 1, to: event.version - 1, direction: "forward", limit: 1_000, bytes: 1e9 } as const;
    for (const { position, type } of await this.#adapter.readAggregate({ ref: event.aggregate, ...all }, {})) {
      if (!plan.inScope({ type, aggregate: event.aggregate }) || this.observed.has(`${label}/${position}`)) continue;
      const [before, after] = [position, event.position];
      this.violation(
        `order: ${label} handles ${after} of ${aggregateLabel(event)} before it is through with ${before}`,
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

function idOf({ name, version, generation, segment }: SegmentKey): string {
  return `${labelOf(name, version)}, generation ${generation}, segment ${segment}`;
}

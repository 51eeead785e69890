import type { ConsumerKey, ConsumerKind, Position } from "@tidemark/core";
import type {
  ActorRef,
  Association,
  DeadlineRow,
  ErrorState,
  Layout,
  LetterRow,
  SagaRow,
  SegmentKey,
} from "@tidemark/core/spi";
import { invalidArgument, otherLog } from "./errors.ts";
import { EventLog } from "./log.ts";
import { type MemoryRows, type MemoryTransaction, Transaction, typedRows } from "./memory-transaction.ts";
import { actorKey, byEvent, byTime, byVector, type SnapshotRecord } from "./snapshot-record.ts";
import { Table } from "./table.ts";

export interface MemoryDatabaseOptions {
  /**
   * Milliseconds since 1970: the clock of leases, of `recordedAt` and of error times. Default: the process's monotonic
   * clock, so that neither a step of the system's time nor a faked `Date.now` moves a lease.
   */
  readonly clock?: (() => number) | undefined;
}

/** What several stores can share: events, records of consumers, and tables of your own. */
export interface MemoryDatabase {
  /** Begins a transaction of your own. Hand it to `store.within(tx)`; end it with `commit` or `rollback`. */
  begin(): MemoryTransaction;
  /** The committed rows of a table, outside of any transaction. */
  table<Row>(name: string): MemoryRows<Row>;
}

/** A new, empty database with a log of its own. */
export function createMemoryDatabase(options: MemoryDatabaseOptions = {}): MemoryDatabase {
  return new Database(options.clock);
}

/** A row of `consumers`. */
export interface ConsumerRecord {
  readonly key: ConsumerKey;
  readonly kind: ConsumerKind | undefined;
  readonly start: string | undefined;
  readonly logId: string | undefined;
  readonly enabled: boolean;
  readonly active: boolean;
  /** The layout: rows 0 … `segments - 1` of this generation. */
  readonly generation: number;
  readonly segments: number;
  /** The one that was asked for. */
  readonly layout: Layout | undefined;
}

/** A row of `segments`. */
export interface SegmentRecord {
  readonly position: Position | undefined;
  readonly committedAt: number | undefined;
  readonly owner: string | undefined;
  readonly token: bigint;
  /** When the lease runs out; 0 for none. */
  readonly expiresAt: number;
  readonly error: ErrorState | undefined;
}

/** A row of `sagas`. */
export interface SagaRecord extends SagaRow {
  readonly saga: string;
}

/** A row of `deadlines`. */
export interface DeadlineRecord extends DeadlineRow {
  readonly saga: string;
}

/** A row of `letters`. */
export interface LetterRecord extends LetterRow {
  readonly consumer: ConsumerKey;
}

/** A row of `claims`. */
export interface ClaimRecord {
  readonly consumer: ConsumerKey;
  readonly key: string;
  /** Undefined for one that was completed and never claimed. */
  readonly token: string | undefined;
  readonly expiresAt: number;
  readonly completedAt: number | undefined;
}

/** A row of `completions`: one for each segment, as nobody but the segment's holder writes it. */
export interface CompletionRecord {
  readonly key: SegmentKey;
  /** Ascending. */
  readonly positions: readonly Position[];
}

/** A row of `members`. */
export interface MemberRecord {
  readonly consumer: ConsumerKey;
  readonly member: string;
  readonly expiresAt: number;
}

/** What an id was mapped to, from `since` on. */
export interface MappingRecord {
  readonly id: string;
  readonly since: number;
}

/** What the adapter keeps. The other adapters have a table for each of these. */
export class Database implements MemoryDatabase {
  readonly log: EventLog = new EventLog();
  /** The last version of each aggregate, by `aggregateKey`: the rows that appends lock. */
  readonly heads: Table<number> = new Table();
  readonly consumers: Table<ConsumerRecord> = new Table(({ key }) => [key.name]);
  readonly segments: Table<SegmentRecord> = new Table();
  readonly sagas: Table<SagaRecord> = new Table(({ saga, associations }) => [
    saga,
    ...associations.map((association) => associationTerm(saga, association)),
  ]);
  readonly deadlines: Table<DeadlineRecord> = new Table(({ saga, sagaId }) => [saga, sagaRowKey(saga, sagaId)]);
  readonly letters: Table<LetterRecord> = new Table(({ consumer, sequences }) => [
    consumerRowKey(consumer),
    ...sequences.map((sequence) => sequenceTerm(consumer, sequence)),
  ]);
  readonly claims: Table<ClaimRecord> = new Table(({ consumer }) => [consumerRowKey(consumer)]);
  readonly completions: Table<CompletionRecord> = new Table(({ key }) => [consumerRowKey(key)]);
  readonly members: Table<MemberRecord> = new Table(({ consumer }) => [consumerRowKey(consumer)]);
  readonly snapshots: Table<SnapshotRecord> = new Table(
    ({ actor, isHead }) => (isHead ? [headTerm(actor)] : []),
    [byVector, byEvent, byTime],
  );
  /** All that an actor id or a system id was mapped to, ascending. A mapping is in the rows of both of its ids. */
  readonly identities: Table<readonly MappingRecord[]> = new Table();
  /** Events as JSON text, by the key of the snapshot after them. */
  readonly packs: Table<string> = new Table();
  readonly #tables = new Map<string, Table<unknown>>();
  readonly #clock: () => number;
  #lastToken = 0n;

  constructor(clock: () => number = monotonicClock) {
    if (typeof clock !== "function") throw invalidArgument("clock", "clock is a function that returns milliseconds.");
    this.#clock = clock;
  }

  now(): number {
    return Math.floor(this.#clock());
  }

  /**
   * The next fencing token. One sequence for all rows, so that a consumer that was deleted and declared anew never
   * gives out a token that somebody still holds.
   */
  nextToken(): bigint {
    this.#lastToken += 1n;
    return this.#lastToken;
  }

  begin(): Transaction {
    return new Transaction(this.log.id, (name) => this.#table(name));
  }

  /** A transaction as the adapter sees it. Throws for one of another database. */
  own(transaction: MemoryTransaction): Transaction {
    if (!(transaction instanceof Transaction)) {
      throw invalidArgument(
        "tx",
        "A transaction of the memory adapter comes from database.begin() or was lent to you.",
      );
    }
    if (transaction.logId !== this.log.id) throw otherLog(this.log.id, transaction.logId);
    return transaction;
  }

  table<Row>(name: string): MemoryRows<Row> {
    const rows = typedRows<Row>(this.#table(name));
    return { get: async (key) => rows.get(key), entries: async () => rows.entries() };
  }

  #table(name: string): Table<unknown> {
    const known = this.#tables.get(name);
    if (known !== undefined) return known;
    const table = new Table<unknown>();
    this.#tables.set(name, table);
    return table;
  }
}

/*
 * Keys of rows, and terms that indexes find them by. NUL separates: it is refused in names, ids, properties and values.
 * Rows of a saga or consumer are found by its own key; those of a smaller group by a term that is longer than that.
 */

/** The key of a row of `consumers`. */
export function consumerRowKey(key: ConsumerKey): string {
  return `${key.name}\0${key.version}`;
}

/** The key of no row: whoever changes which versions of a consumer there are, or which is active, locks it. */
export function consumerNameKey(name: string): string {
  return `${name}\0`;
}

/** The key of a row of `segments`. */
export function segmentRowKey(key: SegmentKey): string {
  return `${consumerRowKey(key)}\0${key.generation}\0${key.segment}`;
}

/** The key of a row of `sagas`. */
export function sagaRowKey(saga: string, id: string): string {
  return `${saga}\0${id}`;
}

/** Finds the sagas that have the association. */
export function associationTerm(saga: string, { property, value }: Association): string {
  return `${saga}\0${property}\0${value}`;
}

/** The key of a row of `deadlines`. */
export function deadlineRowKey(saga: string, sagaId: string, name: string): string {
  return `${sagaRowKey(saga, sagaId)}\0${name}`;
}

/** The key of a row of `letters`. */
export function letterRowKey(consumer: ConsumerKey, position: Position): string {
  return `${consumerRowKey(consumer)}\0${position}`;
}

/** Finds the letters of a sequence. */
export function sequenceTerm(consumer: ConsumerKey, sequence: string): string {
  return `${consumerRowKey(consumer)}\0${sequence}`;
}

/** The key of a row of `members`. */
export function memberRowKey(consumer: ConsumerKey, member: string): string {
  return `${consumerRowKey(consumer)}\0${member}`;
}

/** The key of a row of `claims`. */
export function claimRowKey(consumer: ConsumerKey, key: string): string {
  return `${consumerRowKey(consumer)}\0${key}`;
}

/** The key of a row of `snapshots`. */
export function snapshotRowKey(actor: ActorRef, vector: string): string {
  return `${actorKey(actor)}\0${vector}`;
}

/** Finds the actor's heads. */
export function headTerm(actor: ActorRef): string {
  return `${actorKey(actor)}\0head`;
}

/** The key of a row of `identities`. */
export function identityRowKey(type: string, kind: "actor" | "system", id: string): string {
  return `${type}\0${kind}\0${id}`;
}

function monotonicClock(): number {
  return performance.timeOrigin + performance.now();
}

import type { Position } from "../values/position.ts";
import type { AppendOperation, AppendOutcome, AppendUnit, StoredEvent } from "./append.ts";
import type { Capabilities, Lending } from "./capabilities.ts";
import type { ClaimRecords } from "./claims.ts";
import type { CompletionPort } from "./completions.ts";
import type { ConsumerRecords, Fence, SegmentKey, ZoneRecords } from "./consumers.ts";
import type { LetterPort, LetterRecords } from "./dead-letters.ts";
import type { FrontierHolderRow } from "./frontier.ts";
import type { IdentityPort } from "./identities.ts";
import type { MemberRecords } from "./members.ts";
import type { Operation } from "./operation.ts";
import type { PackPort } from "./packs.ts";
import type { AggregateQuery, EventIdQuery, LogPage, LogQuery } from "./reads.ts";
import type { SnapshotPort } from "./snapshots.ts";
import type { DeadlinePort, DeadlineReader, SagaPort, SagaReader } from "./sagas.ts";

/**
 * What a database has to do for Tidemark: rows in, rows out. Arguments are valid and complete when they arrive; texts
 * are encoded. An adapter does not validate, does not parse JSON, does not coalesce and does not retry: core does that
 * once for all. It must translate every driver error into a `TidemarkError` (its `errors.ts`), hold what each method
 * promises, and export its capabilities as a frozen constant. The conformance suite tells whether it does.
 *
 * `Tx` is what a caller's transaction runs on: a pg client, a better-sqlite3 database, a memory transaction.
 */
export interface Adapter<Tx> {
  /** For messages: "sqlite". */
  readonly name: string;
  readonly capabilities: Capabilities;
  readonly lending: Lending;
  /**
   * Connects, checks the schema or brings it up to date, and returns the log's identity, which was minted when the
   * schema was made. A schema that is missing or older (with `"check"`), or newer, is SCHEMA_MISMATCH. Safe when many
   * processes do it at once. Called once, before everything else.
   */
  open(schema: "migrate" | "check", op: Operation): Promise<OpenedLog>;

  /**
   * Appends units; outcome i belongs to unit i. Each is written as a whole or not at all, and units of one aggregate in
   * the order of the batch. Apart from that they are independent: commit them in one transaction or in several. Nothing
   * is written for a refused unit, and its neighbours do not notice. Decide with `planBatch`, under the locks of all
   * aggregates of the units that it is given, taken in one sorted order; what needs no stored events may be decided by
   * other means, with the same outcome. When it rejects, any of the units may have been committed: core repeats the
   * batch where that may help, and they come back as repeated.
   *
   * Core has so many of them under way at once and no more, and counts one until its promise is settled. So it settles
   * when whatever it has taken is free again, also where the signal has fired; whoever has called the store is told at once
   * by core. What was not written when the signal fired is not written afterwards.
   */
  appendBatch(units: readonly AppendUnit[], op: AppendOperation): Promise<readonly AppendOutcome[]>;
  readAggregate(query: AggregateQuery, op: Operation): Promise<readonly StoredEvent[]>;
  /** By an index, however long the aggregate is: reads what it returns, and what its bounds of time leave out. */
  readEventsById(query: EventIdQuery, op: Operation): Promise<readonly StoredEvent[]>;
  readAll(query: LogQuery, op: Operation): Promise<LogPage>;
  /** The tidemark: the position of the last committed event at or below the frontier; 0 for an empty log. */
  head(op: Operation): Promise<Position>;
  /** The position of the last event before the first one that occurred at or after `time`; the head when none did. */
  positionBefore(time: number, op: Operation): Promise<Position>;
  /**
   * Who holds the frontier back: transactions that have appended and are still open, the lowest position first. Empty
   * where nobody can, because readers never wait for an open append.
   */
  frontierHolders(op: Operation): Promise<readonly FrontierHolderRow[]>;

  /**
   * Runs `work` in a transaction, lending it the connection. Commits when `work` resolves, rolls back when it rejects
   * or the signal fires. A `work` that ended the transaction itself is TRANSACTION_ENDED.
   */
  transaction<T>(work: (tx: Tx) => Promise<T>, op: Operation): Promise<T>;
  /** The port to a transaction, lent by `transaction` or begun by the caller on a connection of its own. No I/O. */
  within(tx: Tx): TransactionPort;

  readonly consumers: ConsumerRecords;
  readonly zones: ZoneRecords;
  readonly sagas: SagaReader;
  readonly deadlines: DeadlineReader;
  readonly deadLetters: LetterRecords;
  readonly claims: ClaimRecords;
  readonly members: MemberRecords;
  readonly snapshots: SnapshotPort;
  readonly identities: IdentityPort;
  readonly packs: PackPort;

  /** Calls `wake` after appends of other processes, late or spuriously at will. Only with capability `wakeups`. */
  listen?(wake: () => void): () => void;
  /** Called once, when no call is under way. Closes what the adapter opened itself, and nothing else. */
  close(): Promise<void>;
}

/** What `Adapter.open` has opened. */
export interface OpenedLog {
  readonly logId: string;
  /**
   * Names what a lent transaction blocks, where that is more than this log: a file that other logs are in as well.
   * Default: the log's id.
   */
  readonly locks?: string | undefined;
}

/** What happens inside a transaction. Nothing here begins, commits or rolls back. */
export interface TransactionPort {
  /** Whether the transaction is known to be open. Without I/O; may be false for a transaction begun by the caller. */
  isOpen(): boolean;
  /** As `Adapter.appendBatch`, in this transaction. */
  appendBatch(units: readonly AppendUnit[], op: AppendOperation): Promise<readonly AppendOutcome[]>;
  /** Sees what this transaction has appended. */
  readAggregate(query: AggregateQuery, op: Operation): Promise<readonly StoredEvent[]>;
  /** As `Adapter.readEventsById`; sees what this transaction has appended. */
  readEventsById(query: EventIdQuery, op: Operation): Promise<readonly StoredEvent[]>;
  /** The segment's row as this transaction sees it. */
  segment(key: SegmentKey, op: Operation): Promise<SegmentState | undefined>;
  /**
   * Checks that the transaction is still the one that was lent, then moves the checkpoint where token and position are
   * as given. The last statement before COMMIT; it locks the row to the end. False when no row matched.
   */
  fence(fence: Fence, op: Operation): Promise<boolean>;
  readonly sagas: SagaPort;
  readonly deadlines: DeadlinePort;
  readonly deadLetters: LetterPort;
  readonly completions: CompletionPort;
  readonly snapshots: SnapshotPort;
  readonly identities: IdentityPort;
  readonly packs: PackPort;
}

export interface SegmentState {
  readonly position: Position | undefined;
  readonly token: bigint;
}

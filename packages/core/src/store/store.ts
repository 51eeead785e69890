import type { ActorStores } from "../actor/actor-store.ts";
import type { EventStores } from "../actor/event-store.ts";
import type { Capabilities } from "../adapter/capabilities.ts";
import type { Operation } from "../adapter/operation.ts";
import type { Codec } from "../codec.ts";
import type { Claims } from "../consumer/claims.ts";
import type { Consumers } from "../consumer/consumers.ts";
import type { DeadLetters } from "../consumer/letters.ts";
import type { Members } from "../consumer/members.ts";
import type { ConsumerInput } from "../consumer/name.ts";
import type { Deadlines, Sagas } from "../consumer/records.ts";
import type { WaitForOptions } from "../consumer/wait-for.ts";
import type { EnterOptions, Zone } from "../consumer/zone.ts";
import type { AppendRequest, AppendResult, RecordedEvent, Scope } from "../event.ts";
import type { AggregateInput } from "../values/aggregate.ts";
import type { Position } from "../values/position.ts";
import type { PollOptions } from "./options.ts";

export interface ReadAggregateOptions extends Operation {
  /** First version, inclusive. Default 1. */
  readonly fromVersion?: number | undefined;
  /** Last version, inclusive. Default: no bound. */
  readonly toVersion?: number | undefined;
  /** `"backward"` yields the newest first. Default `"forward"`. */
  readonly direction?: "forward" | "backward" | undefined;
  /** At most this many events. Default: no bound. */
  readonly limit?: number | undefined;
}

export interface ReadAllOptions extends Operation {
  /** Events strictly after this position. Default: from the beginning. */
  readonly after?: Position | undefined;
  /** At most this many events, up to 10 000. Default 500. */
  readonly limit?: number | undefined;
  readonly scope?: Scope | undefined;
}

export interface Page {
  /** Ascending by position. */
  readonly events: readonly RecordedEvent[];
  /**
   * Where to go on: of the last event when the page is full, else the head. A page may be shorter than its limit
   * without being the last; a reader has caught up when `next` equals `head()`.
   */
  readonly next: Position;
}

export interface WaitOptions extends Operation {
  /** Default 30 000. */
  readonly timeoutMs?: number | undefined;
  /** How often to look while nothing signals. Default: the store's. A log of your own need not heed it. */
  readonly poll?: PollOptions | undefined;
}

/** A log that consumers can read. Every store is one. */
export interface EventSource {
  /** Minted when the log was made; checkpoints remember it. */
  readonly logId: string;
  readAll(options?: ReadAllOptions): Promise<Page>;
  /**
   * The tidemark: the position of the last committed event below which nothing is missing; 0 for an empty log. No
   * event ever becomes visible at or below a position that was returned here or as `next`.
   */
  head(options?: Operation): Promise<Position>;
  /** Resolves with the head as soon as it is past `after`, or after `timeoutMs` with whatever it is then. */
  wait(after: Position, options?: WaitOptions): Promise<Position>;
}

/** A transaction that has appended and is still open, so that readers wait for its end. */
export interface FrontierHolder {
  /** The last position that readers get past it: everything above waits. */
  readonly position: Position;
  /** Since when it is open, by the database's clock. Undefined when the database does not tell. */
  readonly since: Date | undefined;
  /** What to look for in the database's own tools: a process id, the name of a prepared transaction. */
  readonly session: string;
  /** What its connection calls itself. */
  readonly application: string | undefined;
}

export interface TransactionOptions extends Operation {
  /** `"transient"` runs the work again when its transaction failed for a transient reason. Default `"never"`. */
  readonly retry?: "never" | "transient" | undefined;
}

/**
 * The event log and consumer records of one database. `Tx` is what its transactions run on.
 *
 * Every call takes `{ signal }`; when it fires, the call rejects with ABORTED, and what it would have written happened
 * entirely or not at all. After `close`, every call rejects with CLOSED.
 */
export interface Store<Tx> extends EventSource, AsyncDisposable {
  /** The adapter's name: `"memory"`, `"sqlite"`. */
  readonly adapter: string;
  readonly capabilities: Capabilities;
  readonly consumers: Consumers;
  readonly sagas: Sagas;
  readonly deadlines: Deadlines;
  readonly deadLetters: DeadLetters;
  readonly claims: Claims;
  readonly members: Members;
  /** Snapshots and ids of actors, by actor type. */
  readonly actorStores: ActorStores;
  /** Events of actors, by actor type: in this log. */
  readonly eventStores: EventStores;
  /** How this store writes and reads JSON. */
  readonly codec: Codec;

  /**
   * Appends events to one aggregate, all or nothing. Concurrent calls share transactions; each still succeeds or fails
   * alone. Appending the same ids with the same content again returns the first result with `repeated: true`.
   *
   * Errors: VERSION_CONFLICT, KNOWN_EVENT_IDS, INVALID_ARGUMENT, INVALID_EVENT, LIMIT_EXCEEDED, OVERLOADED,
   * WOULD_DEADLOCK, and of every call UNAVAILABLE, CONTENTION, BUSY, ABORTED, CLOSED.
   */
  append(request: AppendRequest, options?: Operation): Promise<AppendResult>;
  /** Appends to several aggregates, all or nothing. Result i belongs to request i. Errors as `append`. */
  appendAll(requests: readonly AppendRequest[], options?: Operation): Promise<readonly AppendResult[]>;
  /** Streams one aggregate's events in pages; holds no connection between them. Yields nothing for an unknown one. */
  readAggregate(aggregate: AggregateInput, options?: ReadAggregateOptions): AsyncIterable<RecordedEvent>;

  /**
   * Who holds readers back: transactions of any process that have appended and are still open, the one that holds back
   * most first. Empty when the head is where it can be. Ask when {@link head} stands still while others append.
   */
  frontierHolders(op?: Operation): Promise<readonly FrontierHolder[]>;

  /**
   * Runs `work` in a transaction, which commits when `work` resolves and rolls back when it rejects. `tx` is for your
   * own statements, `store` for ours. Do not commit or roll back yourself: that is detected (TRANSACTION_ENDED).
   */
  transaction<T>(work: (tx: Tx, store: StoreInTransaction) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /** The store inside a transaction that you have begun yourself on your own connection. Does nothing by itself. */
  within(tx: Tx): StoreInTransaction;

  /**
   * Enters the exclusive zone of a declared consumer's segment; undefined at once when it is taken. Errors:
   * CONSUMER_UNKNOWN, LOG_MISMATCH.
   */
  enterZone(consumer: ConsumerInput, options?: EnterOptions): Promise<Zone<Tx> | undefined>;

  /**
   * Resolves when the consumer has done everything up to `position`, in all its segments: `"applied"`, or `"parked"`
   * when a dead letter stands at or below it, of this aggregate where one is given. Woken by consumers of this process,
   * by polling for those of others. Errors: CONSUMER_UNKNOWN, WAIT_TIMEOUT after `timeoutMs`.
   */
  waitFor(consumer: ConsumerInput, position: Position, options?: WaitForOptions): Promise<"applied" | "parked">;

  /** Refuses new calls, waits for those under way, leaves zones, closes what the store opened. May be called twice. */
  close(): Promise<void>;
}

/** What can be done inside a transaction. Errors: as outside, and TRANSACTION_ENDED once it is over. */
export interface StoreInTransaction {
  /**
   * Appends now, within the transaction: versions and positions are final if it commits. Until it ends, readers see
   * nothing at or after these positions, so append late.
   */
  append(request: AppendRequest, options?: Operation): Promise<AppendResult>;
  appendAll(requests: readonly AppendRequest[], options?: Operation): Promise<readonly AppendResult[]>;
  /** Sees what the transaction has appended. */
  readAggregate(aggregate: AggregateInput, options?: ReadAggregateOptions): AsyncIterable<RecordedEvent>;
  /** As outside, within the transaction. What stores or maps keeps the actor locked to its end. */
  readonly actorStores: ActorStores;
  /** As outside, within the transaction; storing events as {@link append}, so store them late. */
  readonly eventStores: EventStores;
}

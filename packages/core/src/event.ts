import type { AggregateInput, AggregateRef } from "./values/aggregate.ts";
import type { Position } from "./values/position.ts";

/** What travels with an event beside its data. All of it comes back as given; it never counts as content. */
export interface EventMetadata {
  readonly correlationId?: string | undefined;
  readonly causationId?: string | undefined;
  readonly createdBy?: string | undefined;
  readonly [name: string]: unknown;
}

/** An event to be appended. */
export interface EventInput<Type extends string = string, Data = unknown> {
  /** Unique within its aggregate; makes a retry idempotent. Default: a flake id, minted before the first attempt. */
  readonly id?: string | undefined;
  readonly type: Type;
  /** Any JSON value. */
  readonly data: Data;
  readonly metadata?: EventMetadata | undefined;
  /** When it happened, by the writer's clock. Default: now. */
  readonly occurredOn?: Date | undefined;
}

/** An event as the log returns it. */
export interface RecordedEvent<Type extends string = string, Data = unknown> {
  readonly id: string;
  readonly position: Position;
  readonly aggregate: AggregateRef;
  /** 1 for the first event of its aggregate, without gaps. */
  readonly version: number;
  readonly type: Type;
  readonly data: Data;
  readonly metadata: EventMetadata;
  /** By the writer's clock, to the millisecond. */
  readonly occurredOn: Date;
  /** By the database's clock, to the millisecond. */
  readonly recordedAt: Date;
}

/**
 * The state that an append expects its aggregate in: `"any"`; `"none"`, no event yet; `"exists"`, at least one event;
 * or the exact version of its last event, where 0 is `"none"`.
 */
export type Expected = "any" | "none" | "exists" | number;

/** Events for one aggregate. */
export interface AppendRequest {
  readonly aggregate: AggregateInput;
  readonly events: readonly EventInput[];
  /** Default `"any"`. */
  readonly expected?: Expected | undefined;
}

/** What became of one {@link AppendRequest}. Arrays follow the order of its events. */
export interface AppendResult {
  readonly aggregate: AggregateRef;
  /** Version of the first event. */
  readonly first: number;
  /** Version of the last event. */
  readonly last: number;
  readonly positions: readonly Position[];
  readonly ids: readonly string[];
  /** True when these very events had been appended before: nothing was written, and this is the first result. */
  readonly repeated: boolean;
}

/** Which events of the log are meant: all that match every given part. An absent part or an empty list means all. */
export interface Scope {
  readonly contexts?: readonly string[] | undefined;
  readonly aggregateTypes?: readonly string[] | undefined;
  readonly eventTypes?: readonly string[] | undefined;
  /** Segment `index` of `of`, a power of two up to 1024. */
  readonly segment?: { readonly index: number; readonly of: number } | undefined;
}

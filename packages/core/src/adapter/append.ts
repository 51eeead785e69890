import type { Expected } from "../event.ts";
import type { AggregateRef } from "../values/aggregate.ts";
import type { Position } from "../values/position.ts";
import type { Operation } from "./operation.ts";

/** An event as it is written. Times are milliseconds since 1970, UTC; `data` and `metadata` JSON text. */
export interface EventRow {
  readonly id: string;
  readonly type: string;
  readonly data: string;
  readonly metadata: string;
  readonly occurredOn: number;
}

/** An event as it is stored. */
export interface StoredEvent extends EventRow {
  readonly position: Position;
  readonly ref: AggregateRef;
  readonly version: number;
  readonly bucket: number;
  /** By the database's clock. */
  readonly recordedAt: number;
}

/** The events of a unit for one aggregate. */
export interface AppendPart {
  readonly ref: AggregateRef;
  readonly bucket: number;
  readonly expected: Expected;
  readonly events: readonly EventRow[];
}

/**
 * What is appended as a whole or not at all: one or more aggregates, each in one part. `known` tells what to do with
 * event ids that the aggregate already has with the same content: refuse them, unless the whole unit is a repetition,
 * or leave them out.
 */
export interface AppendUnit {
  readonly parts: readonly AppendPart[];
  readonly known: "refuse" | "skip";
}

/** Versions and positions of a part's events: `first` the lowest, `last` the highest, `positions` in their order. */
export interface AppendedPart {
  readonly first: number;
  readonly last: number;
  readonly positions: readonly Position[];
}

export type AppendOutcome =
  | { readonly kind: "appended" | "repeated"; readonly parts: readonly AppendedPart[] }
  | { readonly kind: "conflict"; readonly part: number; readonly actual: number }
  | { readonly kind: "known-ids"; readonly part: number; readonly ids: readonly string[] }
  | { readonly kind: "busy"; readonly part: number };

/** Type and data of an event, the two that make its content. */
export interface EventContent {
  readonly type: string;
  readonly data: string;
}

export interface AppendOperation extends Operation {
  /** Core's comparison of content, see `Codec.same`. */
  readonly sameContent: (stored: EventContent, given: EventContent) => boolean;
  /**
   * When it fires, an append that still waits for somebody's lock may go on waiting, so long as it is not settled before
   * its connection is free and writes nothing any more: see `Adapter.appendBatch`.
   */
  readonly signal?: AbortSignal | undefined;
  /**
   * What to do about an aggregate that another transaction has locked: wait for it, or leave the unit undecided with
   * the outcome `busy`, so that its neighbours do not wait. Adapters without such locks never answer `busy`.
   */
  readonly onBusy: "wait" | "leave";
}

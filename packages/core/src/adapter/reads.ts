import type { AggregateRef } from "../values/aggregate.ts";
import type { Position } from "../values/position.ts";
import type { StoredEvent } from "./append.ts";

/** A page of one aggregate's events. Bounds are inclusive versions; `backward` yields the newest first. */
export interface AggregateQuery {
  readonly ref: AggregateRef;
  readonly from: number;
  readonly to: number;
  readonly direction: "forward" | "backward";
  readonly limit: number;
  /**
   * The page ends with the event that brings its data and metadata to this many bytes, or characters, of which one is up
   * to three bytes. At least one event.
   */
  readonly bytes: number;
}

/** A page of one aggregate's events by id, ascending by bytes, whatever the order in which they were appended. */
export interface EventIdQuery {
  readonly ref: AggregateRef;
  /** Strictly after; the empty text is before all. */
  readonly after: string;
  /** Inclusive; undefined for no bound. */
  readonly until: string | undefined;
  /** Bounds of `occurredOn` in milliseconds since 1970, inclusive; undefined for no bound. */
  readonly from: number | undefined;
  readonly to: number | undefined;
  readonly limit: number;
  /** As of `AggregateQuery`. */
  readonly bytes: number;
}

/** A scope with nothing left to default: an empty list filters nothing. */
export interface LogScope {
  readonly contexts: readonly string[];
  readonly aggregateTypes: readonly string[];
  readonly eventTypes: readonly string[];
  /** 0 … `segments - 1`. */
  readonly segment: number;
  /** A power of two; 1 filters nothing. */
  readonly segments: number;
}

/** A page of the log: events strictly after `after`, ascending, at most `limit`. */
export interface LogQuery {
  readonly after: Position;
  readonly limit: number;
  /** The page ends with the event that brings its data and metadata to this many characters. At least one event. */
  readonly bytes: number;
  readonly scope: LogScope;
}

export interface LogPage {
  readonly events: readonly StoredEvent[];
  /**
   * The position to go on from: of the last event when the page is full, by `limit` or by `bytes`, else the head, read in
   * the page's snapshot.
   * No committed event may ever become visible at or below it.
   */
  readonly next: Position;
}

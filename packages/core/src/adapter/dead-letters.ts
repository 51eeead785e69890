import type { Position } from "../values/position.ts";
import type { ConsumerKey } from "./consumers.ts";
import type { Operation } from "./operation.ts";

/** What an operator asks of a dead letter; the holder of the zone carries it out. */
export type LetterRequest = "retry" | "remove";

/** An event that a consumer could not handle, or that waits behind one. Times by the database's clock. */
export interface LetterRow {
  readonly position: Position;
  readonly bucket: number;
  /** The sequences that it belongs to: an event of any of them waits. Distinct texts of fixed length, ascending by bytes. */
  readonly sequences: readonly string[];
  /** The event as JSON text, so that letters of a foreign log can be shown and replayed. */
  readonly event: string;
  /** Why, as JSON text; undefined for one that only waits behind another and was never tried. */
  readonly cause: string | undefined;
  /** How often a handler has failed on it. */
  readonly attempts: number;
  readonly firstAt: number;
  readonly lastAt: number;
  readonly request: LetterRequest | undefined;
}

/** A letter to be parked: what the database adds is left out. `attempts` are added to those before. */
export type NewLetter = Omit<LetterRow, "firstAt" | "lastAt" | "request">;

export interface LetterQuery {
  /** Strictly after. */
  readonly after: Position;
  readonly limit: number;
  readonly requested: boolean;
  readonly sequence: string | undefined;
}

/** Dead letters as operators see them. Each call is a transaction of its own. */
export interface LetterRecords {
  /** Ascending by position. */
  list(consumer: ConsumerKey, query: LetterQuery, op: Operation): Promise<readonly LetterRow[]>;
  count(consumer: ConsumerKey, op: Operation): Promise<number>;
  /** Marks a letter, or all when `position` is undefined; takes the mark off when `request` is. How many there were. */
  request(
    consumer: ConsumerKey,
    position: Position | undefined,
    request: LetterRequest | undefined,
    op: Operation,
  ): Promise<number>;
}

/** Dead letters inside a transaction that is fenced. */
export interface LetterPort {
  /**
   * Keeps one letter for each position: parking it again adds attempts, replaces event, bucket and sequences, replaces the
   * cause where there is one, and clears the mark.
   */
  park(consumer: ConsumerKey, letters: readonly NewLetter[], op: Operation): Promise<void>;
  get(consumer: ConsumerKey, position: Position, op: Operation): Promise<LetterRow | undefined>;
  /** Whether the consumer has any letter. One indexed look-up. */
  any(consumer: ConsumerKey, op: Operation): Promise<boolean>;
  /** Which of `sequences` have a letter, strictly before `before` where that is given. In their order. One indexed query. */
  parked(
    consumer: ConsumerKey,
    sequences: readonly string[],
    before: Position | undefined,
    op: Operation,
  ): Promise<readonly string[]>;
  /** Letters of the consumer, or of one of its sequences. */
  count(consumer: ConsumerKey, sequence: string | undefined, op: Operation): Promise<number>;
  /** False when there was none. */
  remove(consumer: ConsumerKey, position: Position, op: Operation): Promise<boolean>;
  /** Marks for retry the letters of these sequences that were never tried and that nothing is asked for yet. */
  requestWaiting(consumer: ConsumerKey, sequences: readonly string[], op: Operation): Promise<void>;
}

import type { Position } from "../values/position.ts";
import type { Operation } from "./operation.ts";

export type ConsumerKind = "projector" | "observer" | "saga";

/** A consumer's identity: its name and the version of its read model. */
export interface ConsumerKey {
  readonly name: string;
  readonly version: number;
}

/** One segment of one layout of a consumer: the row that holds its checkpoint and its zone. */
export interface SegmentKey extends ConsumerKey {
  readonly generation: number;
  readonly segment: number;
}

/** What `declare` writes. All segments start at `position`, which core has resolved from the start rule. */
export interface ConsumerDeclaration {
  readonly key: ConsumerKey;
  readonly kind: ConsumerKind;
  readonly segments: number;
  /** The rule, for people who look at the table. */
  readonly start: string;
  readonly position: Position;
  readonly logId: string;
}

/** What went wrong since the last success. Times in milliseconds since 1970, by the database's clock. */
export interface ErrorState {
  /** When the first error after the last success was recorded. */
  readonly since: number;
  readonly lastAt: number;
  readonly count: number;
  /** Name, message and stack of the last one. */
  readonly text: string;
}

export interface SegmentRow {
  readonly segment: number;
  /** Where the segment goes on from; undefined until the consumer is declared. */
  readonly position: Position | undefined;
  /** When the checkpoint was last committed; undefined until it was. */
  readonly committedAt: number | undefined;
  readonly owner: string | undefined;
  readonly token: bigint;
  /** Whether the lease runs, by the database's clock. */
  readonly held: boolean;
  readonly error: ErrorState | undefined;
}

/** A layout that was asked for: another number of segments, once every segment has stopped at `position`. */
export interface Layout {
  /** A power of two, at most 1024. */
  readonly segments: number;
  readonly position: Position;
}

export interface ConsumerRow {
  readonly key: ConsumerKey;
  /** Undefined while the consumer was only disabled or failed, and never declared. So are `start` and `logId`. */
  readonly kind: ConsumerKind | undefined;
  readonly start: string | undefined;
  readonly logId: string | undefined;
  readonly enabled: boolean;
  /** Whether this version is the one in force, of which there is at most one to a name. False until it is declared. */
  readonly active: boolean;
  readonly generation: number;
  /** The layout that was asked for and that is not written yet. */
  readonly layout: Layout | undefined;
  /** Those of the current generation, ascending by segment. */
  readonly segments: readonly SegmentRow[];
}

/** A consumer to be looked at. */
export interface Looked {
  readonly key: ConsumerKey;
  /** What its sagas are stored under; undefined for a consumer that has no deadlines. */
  readonly saga: string | undefined;
}

/** Everything that somebody must know who runs a consumer and has nothing to do just now. */
export interface ConsumerLook {
  readonly row: ConsumerRow;
  /** The buckets of dead letters that something is asked for. Distinct, ascending. */
  readonly requested: readonly number[];
  /** How long until the earliest deadline of its sagas is due, by the database's clock; 0 or less when it is. */
  readonly dueInMs: number | undefined;
}

/**
 * What became of a promotion. `unknown`: one of the two is not declared. `inactive`: the old version is not the one in
 * force. `segments`: their numbers of segments differ, or another one was asked for. `positions`: a segment of one stands
 * elsewhere than that of the other.
 */
export type Promotion = "done" | "unknown" | "inactive" | "segments" | "positions";

/** Records of consumers. Each call is a transaction of its own. */
export interface ConsumerRecords {
  /**
   * Writes the consumer's row and all segments in one transaction unless it is declared. Returns what is stored. It is
   * the active version of its name unless another one is: of two that are declared at once, one.
   */
  declare(declaration: ConsumerDeclaration, op: Operation): Promise<ConsumerRow>;
  get(key: ConsumerKey, op: Operation): Promise<ConsumerRow | undefined>;
  /** In one round trip, however many they are; item i belongs to consumer i. Undefined for one that is not stored. */
  look(consumers: readonly Looked[], op: Operation): Promise<readonly (ConsumerLook | undefined)[]>;
  /** At most `limit` rows, ascending by name (bytes) and version, after `after`. */
  list(after: ConsumerKey | undefined, limit: number, op: Operation): Promise<readonly ConsumerRow[]>;
  /** Also for a consumer that is not declared yet. */
  setEnabled(key: ConsumerKey, enabled: boolean, op: Operation): Promise<void>;
  /**
   * Also for a consumer that is not declared yet: then generation 1, segment 0. Nothing for a segment that a declared
   * consumer does not have, or not any more.
   */
  recordError(key: SegmentKey, text: string, op: Operation): Promise<void>;
  /**
   * Sets all segments to `position`, raises all tokens, and forgets completions and claims, in one transaction, unless a
   * lease runs.
   */
  reset(key: ConsumerKey, position: Position, op: Operation): Promise<"done" | "held" | "unknown">;
  /**
   * Asks for another layout, or takes the request back when `layout` is undefined. `other`: another number of segments
   * was asked for before; that stands. `unknown`: not declared. Asking for the same again changes nothing. Decide with
   * `planLayoutRequest`.
   */
  requestLayout(key: ConsumerKey, layout: Layout | undefined, op: Operation): Promise<"done" | "other" | "unknown">;
  /**
   * Writes the layout that was asked for, in one transaction, when every segment stands exactly at its position: the next
   * generation with its number of segments, all at that position, with tokens above all that were given out; the old
   * generation's rows go, and the request with them. Completions above the position are kept, for every new segment,
   * because which segment's they are is not known.
   *
   * `held` while a lease runs. `not-drained` while a segment stands elsewhere; where one has gone past the position,
   * which it may until its holder has learned of it, that becomes the position of all. `none`: nothing is asked for.
   * Decide with `planLayout`.
   */
  applyLayout(key: ConsumerKey, op: Operation): Promise<"done" | "held" | "not-drained" | "none" | "unknown">;
  /**
   * Puts version `to` of a consumer in the place of version `from`, in one transaction with all segments of both locked:
   * raises their tokens and ends their leases, so that both holders are fenced; `to` is active and enabled, `from` neither.
   * Completions of `from` are copied to the same segments of `to`. Held or not: what is under way on either is not
   * committed. Changes nothing unless it is `done`. Decide with `planPromotion`.
   */
  promote(name: string, from: number, to: number, op: Operation): Promise<Promotion>;
  /**
   * Forgets everything about the consumer: dead letters, claims, completions, members too. Nothing for one that is not
   * there. `active`, and nothing is forgotten, for the active version of a name of which others are declared.
   */
  remove(key: ConsumerKey, op: Operation): Promise<"done" | "active">;
}

export type ZoneEntry =
  | { readonly kind: "entered"; readonly token: bigint; readonly position: Position }
  | { readonly kind: "busy" }
  | { readonly kind: "unknown" };

/** Leases on segment rows. Expiry is by the database's clock. Each call is a transaction of its own. */
export interface ZoneRecords {
  /**
   * Takes the lease when none runs, with a token that is greater than every one before and never comes twice, not even
   * after the consumer was removed and declared anew. Never waits for a row that its holder has locked: that is `busy`.
   * Not re-entrant: the holder itself is `busy` too. `unknown` when the segment is not declared.
   */
  enter(key: SegmentKey, lease: { readonly owner: string; readonly ms: number }, op: Operation): Promise<ZoneEntry>;
  /** Extends the lease while `token` is current, also after its expiry. False when it is not current any more. */
  renew(key: SegmentKey, token: bigint, leaseMs: number, op: Operation): Promise<boolean>;
  /** Ends the lease while `token` is current, and the token with it: nothing late can revive it. Else does nothing. */
  leave(key: SegmentKey, token: bigint, op: Operation): Promise<void>;
}

/** The one fencing statement of a consumer's transaction. */
export interface Fence {
  readonly key: SegmentKey;
  readonly token: bigint;
  readonly from: Position;
  readonly to: Position;
  /** The lease is extended by this much. */
  readonly leaseMs: number;
  /** Whether this commit is a success that clears the error state. */
  readonly clearError: boolean;
}

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

export interface ConsumerRow {
  readonly key: ConsumerKey;
  /** Undefined while the consumer was only disabled or failed, and never declared. So are `start` and `logId`. */
  readonly kind: ConsumerKind | undefined;
  readonly start: string | undefined;
  readonly logId: string | undefined;
  readonly enabled: boolean;
  readonly generation: number;
  /** Ascending by segment. */
  readonly segments: readonly SegmentRow[];
}

/** Records of consumers. Each call is a transaction of its own. */
export interface ConsumerRecords {
  /** Writes the consumer's row and all segments in one transaction unless it is declared. Returns what is stored. */
  declare(declaration: ConsumerDeclaration, op: Operation): Promise<ConsumerRow>;
  get(key: ConsumerKey, op: Operation): Promise<ConsumerRow | undefined>;
  /** At most `limit` rows, ascending by name (bytes) and version, after `after`. */
  list(after: ConsumerKey | undefined, limit: number, op: Operation): Promise<readonly ConsumerRow[]>;
  /** Also for a consumer that is not declared yet. */
  setEnabled(key: ConsumerKey, enabled: boolean, op: Operation): Promise<void>;
  /** Also for a consumer that is not declared yet: then generation 1, segment 0. */
  recordError(key: SegmentKey, text: string, op: Operation): Promise<void>;
  /**
   * Sets all segments to `position`, raises all tokens, and forgets completions and claims, in one transaction, unless a
   * lease runs.
   */
  reset(key: ConsumerKey, position: Position, op: Operation): Promise<"done" | "held" | "unknown">;
  /** Forgets everything about the consumer: dead letters, claims, completions too. Nothing for one that is not there. */
  remove(key: ConsumerKey, op: Operation): Promise<void>;
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

import type { Expected } from "./event.ts";
import type { AggregateRef } from "./values/aggregate.ts";
import type { Position } from "./values/position.ts";

/** What each code tells besides its message. Never event data. */
export interface ErrorDetails {
  /** An argument or option has the wrong shape. */
  readonly INVALID_ARGUMENT: { readonly argument: string };
  /** An event holds what JSON cannot, at `path`. */
  readonly INVALID_EVENT: { readonly path: string };
  /** Something is larger than allowed; `limit` is its name in `LIMITS`. */
  readonly LIMIT_EXCEEDED: { readonly limit: string; readonly allowed: number; readonly actual: number };
  /** The aggregate is not at the expected version. Load it again, decide again, append again. */
  readonly VERSION_CONFLICT: { readonly aggregate: AggregateRef; readonly expected: Expected; readonly actual: number };
  /** Some of the event ids are already used in this aggregate by other events, or not all of them in this order. */
  readonly KNOWN_EVENT_IDS: { readonly aggregate: AggregateRef; readonly ids: readonly string[] };
  /** The actor has another state with this vector. */
  readonly SNAPSHOT_CONFLICT: { readonly actorType: string; readonly systemId: string; readonly vector: string };
  /** The actor has siblings, and a snapshot does not say which snapshot it was made from. */
  readonly ANCESTOR_AMBIGUOUS: {
    readonly actorType: string;
    readonly systemId: string;
    /** The siblings' vectors. */
    readonly heads: readonly string[];
  };
  /** What is stored cannot be decoded. */
  readonly UNREADABLE: { readonly position: Position | undefined };
  /** The database cannot be reached. Transient. */
  readonly UNAVAILABLE: { readonly adapter: string };
  /** The database cannot be used as it is: not a database, corrupt, read-only, disk full. Not transient. */
  readonly UNUSABLE: { readonly adapter: string };
  /** The database chose this transaction as the victim of a deadlock or a serialization failure. Transient. */
  readonly CONTENTION: { readonly adapter: string };
  /** A lock was not had within the time allowed. Transient. */
  readonly BUSY: { readonly adapter: string; readonly waitedMs: number };
  /** A handler says that trying again later will help. Transient. */
  readonly TRANSIENT: Record<never, never>;
  /** Too much is queued in this process. Await your appends. */
  readonly OVERLOADED: { readonly queued: number; readonly allowed: number };
  /** The call would wait for a transaction that its own caller holds open. */
  readonly WOULD_DEADLOCK: { readonly call: string };
  /** The transaction is over, or its work ended it. Nothing that core did in it was committed. */
  readonly TRANSACTION_ENDED: Record<never, never>;
  /** The transaction was open longer than allowed and was rolled back. */
  readonly TRANSACTION_TIMEOUT: { readonly allowedMs: number };
  /** The call needs an open transaction and got a connection without one. */
  readonly TRANSACTION_REQUIRED: Record<never, never>;
  /** The call is offered only while the caller holds the consumer's zone. */
  readonly ZONE_REQUIRED: { readonly consumer: string };
  /** Somebody else holds the zone. */
  readonly ZONE_HELD: { readonly consumer: string };
  /** The zone was taken over, released or deleted: nothing of this transaction was committed. */
  readonly ZONE_LOST: { readonly consumer: string; readonly segment: number };
  /** The stored checkpoint is not the one that this commit started from. */
  readonly CHECKPOINT_CONFLICT: { readonly consumer: string; readonly from: Position; readonly stored: Position };
  /** The consumer is not declared. */
  readonly CONSUMER_UNKNOWN: { readonly consumer: string };
  /** The consumer is stored with another kind or another number of segments. */
  readonly CONSUMER_MISMATCH: { readonly consumer: string; readonly stored: string; readonly given: string };
  /** The consumer is on its way to another number of segments than the one asked for. */
  readonly RESEGMENTING: { readonly consumer: string; readonly segments: number };
  /** A version cannot take the place of the active one as things stand. */
  readonly PROMOTION_REFUSED: {
    readonly consumer: string;
    readonly reason: "inactive" | "segments" | "positions";
  };
  /** The version is the one in force. */
  readonly VERSION_ACTIVE: { readonly consumer: string };
  /** A checkpoint, or a transaction that was given to `within`, belongs to another log. */
  readonly LOG_MISMATCH: { readonly consumer?: string; readonly stored: string; readonly given: string };
  /** Somebody changed a saga beside its consumer. */
  readonly SAGA_CONFLICT: { readonly saga: string; readonly id: string; readonly version: number };
  /** As many events are parked as the consumer's failure policy allows; it stops instead of parking another. */
  readonly DEAD_LETTERS_FULL: { readonly consumer: string; readonly allowed: number };
  /** What was waited for did not happen in time. */
  readonly WAIT_TIMEOUT: { readonly timeoutMs: number };
  /** The database has no schema, an older or a newer one than this adapter. `stored` 0: none. */
  readonly SCHEMA_MISMATCH: { readonly stored: number; readonly needed: number };
  /** This adapter cannot do it; its capabilities say so. */
  readonly UNSUPPORTED: { readonly capability: string };
  /** The store is closed. */
  readonly CLOSED: Record<never, never>;
  /** The caller's signal fired. An aborted write happened entirely or not at all; `eventIds` tell which, on retry. */
  readonly ABORTED: { readonly eventIds?: readonly string[] };
}

export type ErrorCode = keyof ErrorDetails;

/** What a consumer may wait out without counting it against anything: trying again later is all there is to do. */
const TRANSIENT_CODES: ReadonlySet<ErrorCode> = new Set(["UNAVAILABLE", "CONTENTION", "BUSY", "TRANSIENT"]);

const BRAND = Symbol.for("tidemark.error");

/** The one error class. Branch on `code`; `details` belongs to the code; `cause` is what the driver said. */
export class TidemarkError<C extends ErrorCode = ErrorCode> extends Error {
  readonly code: C;
  readonly details: ErrorDetails[C];

  constructor(code: C, message: string, details: ErrorDetails[C], options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = "TidemarkError";
    this.code = code;
    this.details = details;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** Throw this in a handler when trying again later will help: it is retried without ever counting as a failure. */
export class TransientError extends TidemarkError<"TRANSIENT"> {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super("TRANSIENT", message, {}, options);
  }
}

/** Recognises errors of every copy of this package by their shape, and narrows them to `code` where one is given. */
export function isTidemarkError(error: unknown): error is { [C in ErrorCode]: TidemarkError<C> }[ErrorCode];
export function isTidemarkError<C extends ErrorCode>(error: unknown, code: C): error is TidemarkError<C>;
export function isTidemarkError(error: unknown, code?: ErrorCode): boolean {
  if (typeof error !== "object" || error === null || !(BRAND in error) || !("code" in error)) return false;
  return code === undefined || error.code === code;
}

/** Whether `error`, or what caused it, is transient: wrappers such as query builders keep the cause. */
export function isTransient(error: unknown): boolean {
  let link: unknown = error;
  for (let depth = 0; depth < 10 && typeof link === "object" && link !== null; depth++) {
    if (isTidemarkError(link)) return TRANSIENT_CODES.has(link.code);
    link = "cause" in link ? link.cause : undefined;
  }
  return false;
}

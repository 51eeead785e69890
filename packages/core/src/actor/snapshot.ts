import type { SnapshotRow } from "../adapter/snapshots.ts";
import type { Codec } from "../codec.ts";
import { checkText, got, invalid, limit } from "../store/requests.ts";
import { utf8Length } from "../values/text.ts";
import * as vectorClock from "../values/vector-clock.ts";
import type { VectorInput } from "../values/vector-clock.ts";
import { checkActorType } from "./access.ts";

/** A snapshot of an actor, as it is stored. Within its actor it is known by its vector. */
export interface Snapshot {
  readonly systemId: string;
  readonly snapshotId: string;
  /** The vector clock in its canonical form: `"a:1;b:2"`. */
  readonly vector: string;
  /** The sum of the vector's counters. */
  readonly version: number;
  /** The vector of the snapshot that this one was made from; `""` or undefined for one that was made from none. */
  readonly ancestor: string | undefined;
  /** The last event that is in it; undefined where it has none. */
  readonly lastEventId: string | undefined;
  /** The state's `_lastEventAppliedOn`, to the millisecond. */
  readonly lastEventOn: Date | undefined;
  /** As it was stored, system fields (`_id`, `_vector`, …) and all; without a serializer, as JSON has it. */
  readonly state: ActorState;
}

/**
 * An actor's state: any object that JSON can hold. Of its system fields these mean something to a store; the others, such
 * as `_eventsApplied` or `_lastCommandId`, are the actor's own.
 */
export interface ActorState {
  /** The actor's system id. */
  readonly _id?: string | undefined;
  /** The vector that it is stored with. */
  readonly _vector?: VectorInput | undefined;
  /** The vector of the snapshot that it was made from; null or `""`: from none. */
  readonly _ancestor?: VectorInput | null | undefined;
  /** The last event that is in it; absent, null or `""`: no event is. */
  readonly _lastEventId?: string | null | undefined;
  /** When that was: a Date, or a text or milliseconds that `Date` reads. */
  readonly _lastEventAppliedOn?: Date | string | number | null | undefined;
  readonly [field: string]: unknown;
}

/** What is stored of a snapshot. */
export interface EncodedSnapshot {
  readonly row: SnapshotRow;
  /** The state's `_id`. */
  readonly own: unknown;
}

/**
 * Checks and encodes a snapshot. System fields are those of what JSON makes of the actor: the result of its `toJSON()`, if it
 * has one. A serializer is given the actor itself. Errors: INVALID_ARGUMENT, INVALID_EVENT, LIMIT_EXCEEDED.
 */
export function encodeSnapshot(
  actorType: string,
  snapshotId: string,
  vectorInput: VectorInput,
  actor: object,
  codec: Codec,
): EncodedSnapshot {
  const { _id: own, _vector, _ancestor, _lastEventId, _lastEventAppliedOn } = asState(checkForm(formOf(actor)));
  const vector = checkVector("vectorClock", vectorInput);
  if (_vector !== undefined && checkVector("actor._vector", _vector) !== vector) {
    throw invalid(
      "actor._vector",
      `The state's _vector is not the vector clock ${JSON.stringify(vector)} that it is to be stored with. Set it to that ` +
        "before you store, or leave it out.",
    );
  }
  const version = vectorClock.version(vector);
  if (!Number.isSafeInteger(version)) {
    throw invalid("vectorClock", "The counters of a vector clock come to at most 2^53 - 1 together.");
  }
  const state = codec.encode(actor, { kind: "snapshot-state", type: checkActorType(actorType) });
  limit("snapshotBytes", utf8Length(state), "Keep what the actor does not decide by elsewhere, and refer to it.");
  const row = {
    vector,
    snapshotId: checkText("snapshotId", "snapshotIdBytes", snapshotId),
    version,
    ancestor: resolveAncestor(vector, _ancestor),
    lastEventId: isAbsent(_lastEventId) ? undefined : checkText("actor._lastEventId", "eventIdBytes", _lastEventId),
    lastEventAt: isAbsent(_lastEventAppliedOn) ? undefined : toTime(_lastEventAppliedOn),
    state,
  };
  return { row, own };
}

/** A snapshot as users see it. Errors: UNREADABLE. */
export function decodeSnapshot(type: string, systemId: string, row: SnapshotRow, codec: Codec): Snapshot {
  const { vector, snapshotId, version, ancestor, lastEventId, lastEventAt } = row;
  return {
    systemId,
    snapshotId,
    vector,
    version,
    ancestor,
    lastEventId,
    lastEventOn: lastEventAt === undefined ? undefined : new Date(lastEventAt),
    state: asState(codec.decode(row.state, { kind: "snapshot-state", type })),
  };
}

/** A vector clock's canonical text. Errors: INVALID_ARGUMENT, LIMIT_EXCEEDED. */
export function checkVector(argument: string, input: VectorInput): string {
  if (typeof input !== "string" && (typeof input !== "object" || input === null)) {
    throw invalid(
      argument,
      `${argument} is a vector clock: a text like "a:1;b:2", or an object of counters by node, ${got(input)}.`,
    );
  }
  const text = vectorClock.stringify(input);
  limit("vectorBytes", utf8Length(text), "Use shorter node ids, or fewer nodes.");
  return text;
}

/** A state was checked to be an object when it was written; what a serializer made of it is the serializer's. */
function asState(value: unknown): ActorState {
  return value as ActorState;
}

/** What JSON takes a value for. */
function formOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("toJSON" in value)) return value;
  return typeof value.toJSON === "function" ? Reflect.apply(value.toJSON, value, [""]) : value;
}

function checkForm(form: unknown): object {
  if (typeof form === "object" && form !== null && !Array.isArray(form)) return form;
  throw invalid("actor", `An actor's state is an object, and so is what its toJSON() gives, ${got(form)}.`);
}

/** `""` says "from none". Nothing is before the empty vector itself. */
function resolveAncestor(vector: string, given: VectorInput | null | undefined): string | undefined {
  if (given === undefined) return undefined;
  const ancestor = given === null ? "" : checkVector("actor._ancestor", given);
  return vector === "" && ancestor === "" ? undefined : ancestor;
}

function toTime(value: Date | string | number): number {
  const date = typeof value === "string" || typeof value === "number" ? new Date(value) : value;
  if (date instanceof Date && !Number.isNaN(date.getTime())) return date.getTime();
  throw invalid(
    "actor._lastEventAppliedOn",
    `actor._lastEventAppliedOn is a Date, or a text or milliseconds that Date reads, ${got(value)}.`,
  );
}

/** Of nothing, some write an empty text. */
function isAbsent<T>(value: T | "" | null | undefined): value is "" | null | undefined {
  return value === undefined || value === null || value === "";
}

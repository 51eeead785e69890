import type { AppendPart, AppendUnit, EventRow } from "../adapter/append.ts";
import type { LogScope } from "../adapter/reads.ts";
import type { Codec } from "../codec.ts";
import { TidemarkError } from "../errors.ts";
import type { AppendRequest, EventInput, Expected, Scope } from "../event.ts";
import {
  type AggregateInput,
  type AggregateRef,
  aggregateKey,
  BUCKETS,
  bucketOf,
  DEFAULT_CONTEXT,
} from "../values/aggregate.ts";
import type { FlakeGenerator } from "../values/flake.ts";
import { type Limits, LIMITS } from "../values/limits.ts";
import { unstorable, utf8Length } from "../values/text.ts";

/** A validated and encoded append, with what its result needs and what it weighs. */
export interface PreparedAppend {
  readonly unit: AppendUnit;
  /** Of the aggregates, part by part. */
  readonly keys: readonly string[];
  readonly ids: readonly (readonly string[])[];
  readonly events: number;
  readonly bytes: number;
}

export interface Preparation {
  readonly codec: Codec;
  readonly ids: FlakeGenerator;
}

/** Checks and encodes requests that are to be appended together. Throws before anything is written. */
export function prepareAppend(requests: readonly AppendRequest[], preparation: Preparation): PreparedAppend {
  if (!isArray(requests) || requests.length === 0) {
    throw invalid("requests", "appendAll takes a non-empty array of requests.");
  }
  const now = Date.now();
  const parts = requests.map((request): AppendPart => {
    if (typeof request !== "object" || request === null) throw invalid("request", "An append request is an object.");
    const ref = resolveAggregate(request.aggregate);
    if (!isArray(request.events) || request.events.length === 0) {
      throw invalid("events", `An append to ${describe(ref)} needs at least one event. Leave the call out instead.`);
    }
    const events = request.events.map((event) => encodeEvent(event, preparation, now));
    refuseDuplicates(events, (event) => event.id, "events", `The append to ${describe(ref)} names an event id twice.`);
    return { ref, bucket: bucketOf(ref), expected: resolveExpected(request.expected), events };
  });
  limit("aggregatesPerAppend", parts.length, "Append to fewer aggregates at once.");
  const keys = parts.map((part) => aggregateKey(part.ref));
  refuseDuplicates(keys, (key) => key, "requests", "appendAll names an aggregate twice; join them.");
  const rows = parts.flatMap((part) => part.events);
  limit("eventsPerAppend", rows.length, "Append fewer events at once.");
  const bytes = weigh("appendBytes", rows);
  limit("appendBytes", bytes, "Append fewer or smaller events at once.");
  return {
    unit: { parts, known: "refuse" },
    keys,
    ids: parts.map((part) => part.events.map((event) => event.id)),
    events: rows.length,
    bytes,
  };
}

/** The same append, leaving out events that are there already instead of refusing their ids. */
export function skipKnown(prepared: PreparedAppend): PreparedAppend {
  return { ...prepared, unit: { ...prepared.unit, known: "skip" } };
}

/** An aggregate as it is stored. Throws INVALID_ARGUMENT or LIMIT_EXCEEDED. */
export function resolveAggregate(input: AggregateInput): AggregateRef {
  if (typeof input !== "object" || input === null) {
    throw invalid("aggregate", "An aggregate is an object with type and id, and a context if you use contexts.");
  }
  return {
    context: checkText("aggregate.context", "contextBytes", input.context ?? DEFAULT_CONTEXT),
    type: checkText("aggregate.type", "aggregateTypeBytes", input.type),
    id: checkText("aggregate.id", "aggregateIdBytes", input.id),
  };
}

/** Throws INVALID_ARGUMENT unless `value` is a non-empty text that compares by bytes everywhere, LIMIT_EXCEEDED when too long. */
export function checkText(argument: string, limitName: keyof Limits, value: string): string {
  if (typeof value !== "string" || value === "") {
    throw invalid(argument, `${argument} is a non-empty string, ${got(value)}.`);
  }
  const reason = unstorable(value);
  if (reason !== undefined) throw invalid(argument, `${argument} holds ${reason}, which no database can compare.`);
  limit(limitName, value.length * 3 <= LIMITS[limitName] ? value.length : utf8Length(value), `Shorten ${argument}.`);
  return value;
}

/** The milliseconds of a valid Date. Throws INVALID_ARGUMENT otherwise. */
export function checkTime(argument: string, value: Date): number {
  const time = value instanceof Date ? value.getTime() : Number.NaN;
  if (Number.isNaN(time)) throw invalid(argument, `${argument} is a valid Date, ${got(value)}. Give new Date(…).`);
  return time;
}

/** A scope without anything left to default. */
export function resolveScope(scope: Scope = {}): LogScope {
  const { index, of } = scope.segment ?? { index: 0, of: 1 };
  if (!isSegmentCount(of) || !Number.isInteger(index) || index < 0 || index >= of) {
    throw invalid(
      "scope.segment",
      `A segment is { index, of } with of a power of two up to ${BUCKETS} and 0 ≤ index < of.`,
    );
  }
  return {
    contexts: texts("scope.contexts", "contextBytes", scope.contexts),
    aggregateTypes: texts("scope.aggregateTypes", "aggregateTypeBytes", scope.aggregateTypes),
    eventTypes: texts("scope.eventTypes", "eventTypeBytes", scope.eventTypes),
    segment: index,
    segments: of,
  };
}

export function isSegmentCount(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= BUCKETS && (value & (value - 1)) === 0;
}

export function invalid(argument: string, message: string): TidemarkError<"INVALID_ARGUMENT"> {
  return new TidemarkError("INVALID_ARGUMENT", message, { argument });
}

/** For messages: what was given in place of what it has to be. Of texts and objects not what they hold, which may be data. */
export function got(value: unknown): string {
  if (value === undefined || value === null) return `got ${String(value)}`;
  if (value === "") return "got an empty string";
  if (value instanceof Date && Number.isNaN(value.getTime())) return "got an invalid Date";
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") {
    return `got the ${typeof value} ${String(value)}`;
  }
  const kind = typeof value === "object" ? Object.prototype.toString.call(value).slice(8, -1) : typeof value;
  return `got ${/^[aeiou]/i.test(kind) ? "an" : "a"} ${kind.toLowerCase()}`;
}

/** For messages: the names of an aggregate are not event data. */
export function describe(ref: AggregateRef): string {
  const name = `${ref.type} ${JSON.stringify(ref.id)}`;
  return ref.context === DEFAULT_CONTEXT ? name : `${name} (context ${ref.context})`;
}

/** Checks and encodes one event; one without an id gets one, one without a time `now`. */
export function encodeEvent(event: EventInput, preparation: Preparation, now: number): EventRow {
  if (typeof event !== "object" || event === null) {
    throw invalid("events", `An event is an object with type and data, ${got(event)}.`);
  }
  const type = checkText("event.type", "eventTypeBytes", event.type);
  const id = checkText("event.id", "eventIdBytes", event.id ?? preparation.ids());
  const data = preparation.codec.encode(event.data, { kind: "event-data", type });
  const metadata =
    event.metadata === undefined ? "{}" : preparation.codec.encode(event.metadata, { kind: "event-metadata", type });
  if (!metadata.startsWith("{")) throw invalid("event.metadata", `The metadata of ${type} is a plain object.`);
  limit(
    "eventBytes",
    weigh("eventBytes", [{ data, metadata }]),
    `Keep large content of ${type} elsewhere and refer to it.`,
  );
  return {
    id,
    type,
    data,
    metadata,
    occurredOn: event.occurredOn === undefined ? now : checkTime("event.occurredOn", event.occurredOn),
  };
}

/** The bytes of JSON text in `rows`; their characters where even three bytes for each would be within the limit. */
function weigh(name: keyof Limits, rows: readonly Pick<EventRow, "data" | "metadata">[]): number {
  const characters = rows.reduce((sum, row) => sum + row.data.length + row.metadata.length, 0);
  if (characters * 3 <= LIMITS[name]) return characters;
  return rows.reduce((sum, row) => sum + utf8Length(row.data) + utf8Length(row.metadata), 0);
}

function resolveExpected(expected: Expected = "any"): Expected {
  if (expected === "any" || expected === "none" || expected === "exists") return expected;
  if (typeof expected === "number" && Number.isSafeInteger(expected) && expected >= 0) return expected;
  throw invalid(
    "expected",
    `expected is "any", "none", "exists" or the exact version, got ${JSON.stringify(expected)}.`,
  );
}

function texts(argument: string, limitName: keyof Limits, values: readonly string[] = []): readonly string[] {
  if (!isArray(values)) throw invalid(argument, `${argument} is an array of strings.`);
  return [...new Set(values.map((value) => checkText(argument, limitName, value)))];
}

/** `Array.isArray` forgets the element type of a readonly array. */
export function isArray<T>(value: readonly T[]): boolean {
  return Array.isArray(value);
}

function refuseDuplicates<T>(items: readonly T[], key: (item: T) => string, argument: string, message: string): void {
  if (items.length > 1 && new Set(items.map(key)).size < items.length) throw invalid(argument, message);
}

/** Throws LIMIT_EXCEEDED when `actual` is more than is allowed. */
export function limit(name: keyof Limits, actual: number, advice: string): void {
  const allowed = LIMITS[name];
  if (actual <= allowed) return;
  throw new TidemarkError("LIMIT_EXCEEDED", `${name} is ${actual}, at most ${allowed} is allowed. ${advice}`, {
    limit: name,
    allowed,
    actual,
  });
}

import type { Expected } from "../event.ts";
import { aggregateKey, type AggregateRef } from "../values/aggregate.ts";
import type { Position } from "../values/position.ts";
import type {
  AppendedPart,
  AppendOperation,
  AppendOutcome,
  AppendPart,
  AppendUnit,
  EventContent,
  EventRow,
} from "./append.ts";

/** An event that the aggregate has already. */
export interface KnownEvent extends EventContent {
  readonly version: number;
  readonly position: Position;
}

/** What a database knows, read under the locks of all aggregates of the batch. */
export interface BatchState {
  /** The version of the aggregate's last event; 0 when it has none. */
  readonly head: (ref: AggregateRef) => number;
  readonly known: (ref: AggregateRef, eventId: string) => KnownEvent | undefined;
  /** Whether another transaction has the aggregate locked. Absent: never. */
  readonly busy?: ((ref: AggregateRef) => boolean) | undefined;
}

/** A row to be inserted. */
export interface PlannedRow {
  readonly ref: AggregateRef;
  readonly bucket: number;
  readonly version: number;
  readonly event: EventRow;
}

export interface BatchPlan {
  /** To be inserted in this order, so that positions follow versions. */
  readonly rows: readonly PlannedRow[];
  /** New last versions, one for each aggregate that gets events. */
  readonly heads: readonly { readonly ref: AggregateRef; readonly bucket: number; readonly version: number }[];
  /** The outcome of each unit, once `position(i)` is known for each of `rows`. */
  readonly outcomes: (position: (row: number) => Position) => readonly AppendOutcome[];
}

/** Where an event of a unit is: stored before, or row `row` of this batch. */
type Place =
  | { readonly kind: "stored"; readonly event: KnownEvent }
  | { readonly kind: "planned"; readonly row: number };

type Decision = { readonly kind: "appended" | "repeated"; readonly parts: readonly (readonly Place[])[] } | Refusal;

type Refusal = Extract<AppendOutcome, { readonly part: number }>;

/**
 * Decides the units of a batch in call order, in memory: every adapter does by this function what LAWS call `append`.
 * Known ids come before expected versions, so that a retry of what succeeded is the same success. A unit sees what
 * the units before it append; a refused one leaves no trace.
 */
export function planBatch(
  units: readonly AppendUnit[],
  state: BatchState,
  sameContent: AppendOperation["sameContent"],
): BatchPlan {
  const batch = new Batch(state);
  const decisions = units.map((unit) => decide(unit, batch, sameContent));
  return {
    rows: batch.rows,
    heads: batch.heads,
    outcomes: (position) => decisions.map((decision) => outcome(decision, batch.rows, position)),
  };
}

/** The database's state with the rows planned so far on top. */
class Batch {
  readonly rows: PlannedRow[] = [];
  readonly #aggregates = new Map<string, PlannedAggregate>();
  readonly #state: BatchState;

  constructor(state: BatchState) {
    this.#state = state;
  }

  get heads(): BatchPlan["heads"] {
    return [...this.#aggregates.values()];
  }

  busy(ref: AggregateRef): boolean {
    return this.#state.busy?.(ref) ?? false;
  }

  head(ref: AggregateRef): number {
    return this.#planned(ref)?.version ?? this.#state.head(ref);
  }

  find(ref: AggregateRef, eventId: string): Place | undefined {
    const row = this.#planned(ref)?.ids.get(eventId);
    if (row !== undefined) return { kind: "planned", row };
    const event = this.#state.known(ref, eventId);
    return event === undefined ? undefined : { kind: "stored", event };
  }

  content(place: Place): EventContent {
    return place.kind === "stored" ? place.event : rowAt(this.rows, place.row).event;
  }

  version(place: Place): number {
    return versionOf(place, this.rows);
  }

  add(part: AppendPart, event: EventRow): Place {
    const { ref, bucket } = part;
    let planned = this.#planned(ref);
    if (planned === undefined) {
      planned = { ref, bucket, version: this.#state.head(ref), ids: new Map() };
      this.#aggregates.set(aggregateKey(ref), planned);
    }
    planned.version += 1;
    const row = this.rows.push({ ref, bucket, version: planned.version, event }) - 1;
    planned.ids.set(event.id, row);
    return { kind: "planned", row };
  }

  #planned(ref: AggregateRef): PlannedAggregate | undefined {
    return this.#aggregates.size === 0 ? undefined : this.#aggregates.get(aggregateKey(ref));
  }
}

/** An aggregate that gets rows: its last version with them, and which row has which event id. */
interface PlannedAggregate {
  readonly ref: AggregateRef;
  readonly bucket: number;
  version: number;
  readonly ids: Map<string, number>;
}

function decide(unit: AppendUnit, batch: Batch, sameContent: AppendOperation["sameContent"]): Decision {
  const busy = unit.parts.findIndex((part) => batch.busy(part.ref));
  if (busy !== -1) return { kind: "busy", part: busy };

  const found = unit.parts.map((part) => part.events.map((event) => batch.find(part.ref, event.id)));
  if (unit.known === "refuse" && isRepetition(unit, found, batch, sameContent)) {
    return { kind: "repeated", parts: found.map((places) => places.filter((place) => place !== undefined)) };
  }
  for (const [index, part] of unit.parts.entries()) {
    const refused = part.events.filter((event, at) => {
      const place = found[index]?.[at];
      return place !== undefined && (unit.known === "refuse" || !sameContent(batch.content(place), event));
    });
    if (refused.length > 0) return { kind: "known-ids", part: index, ids: refused.map((event) => event.id) };
  }
  for (const [index, part] of unit.parts.entries()) {
    const actual = batch.head(part.ref);
    const writes = found[index]?.some((place) => place === undefined) ?? false;
    if (writes && !accepts(part.expected, actual)) return { kind: "conflict", part: index, actual };
  }
  const rowsBefore = batch.rows.length;
  const parts = unit.parts.map((part, index) =>
    part.events.map((event, at) => found[index]?.[at] ?? batch.add(part, event)),
  );
  return { kind: batch.rows.length > rowsBefore ? "appended" : "repeated", parts };
}

/** All ids known, each part's in the given order, at consecutive versions, with the same content. */
function isRepetition(
  unit: AppendUnit,
  found: readonly (readonly (Place | undefined)[])[],
  batch: Batch,
  sameContent: AppendOperation["sameContent"],
): boolean {
  return unit.parts.every((part, index) => {
    const places = found[index] ?? [];
    const first = places[0];
    return part.events.every((event, at) => {
      const place = places[at];
      if (place === undefined || first === undefined) return false;
      return batch.version(place) === batch.version(first) + at && sameContent(batch.content(place), event);
    });
  });
}

function accepts(expected: Expected, actual: number): boolean {
  if (expected === "any") return true;
  if (expected === "none") return actual === 0;
  if (expected === "exists") return actual > 0;
  return actual === expected;
}

function outcome(decision: Decision, rows: readonly PlannedRow[], position: (row: number) => Position): AppendOutcome {
  if (!("parts" in decision)) return decision;
  const parts = decision.parts.map((places): AppendedPart => {
    const versions = places.map((place) => versionOf(place, rows));
    return {
      first: versions.reduce((a, b) => Math.min(a, b)),
      last: versions.reduce((a, b) => Math.max(a, b)),
      positions: places.map((place) => (place.kind === "stored" ? place.event.position : position(place.row))),
    };
  });
  return { kind: decision.kind, parts };
}

function versionOf(place: Place, rows: readonly PlannedRow[]): number {
  return place.kind === "stored" ? place.event.version : rowAt(rows, place.row).version;
}

function rowAt(rows: readonly PlannedRow[], index: number): PlannedRow {
  const row = rows[index];
  if (row === undefined) throw new RangeError(`Row ${index} is not part of this batch.`);
  return row;
}

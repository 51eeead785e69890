import { type AggregateRef, type Position, toPosition } from "@tidemark/core";
import {
  aggregateKey,
  type AppendedPart,
  type AppendOperation,
  type AppendOutcome,
  type AppendPart,
  type AppendUnit,
  type BatchPlan,
  type KnownEvent,
  planBatch,
} from "@tidemark/core/spi";
import { decodeKnown } from "@tidemark/sql-kit";
import { type Connection, numbers, texts } from "./connection.ts";
import { insertedBeside, isDuplicate, isLockTimeout, isUndecided } from "./errors.ts";
import type { Session } from "./session.ts";
import type { Statements } from "./statements.ts";

/** How long a batch waits for somebody who is making one of its aggregates, before it leaves that one out. */
const NEW_AGGREGATE_MS = 50;

/** What appending needs to know of the store. */
export interface AppendParts {
  readonly session: Session;
  readonly sql: Statements;
  /** Whether positions come from the counter. */
  readonly counts: boolean;
}

/**
 * Appends a batch in a transaction of its own, in one round trip where no unit needs a second thought. Those that do,
 * and a batch that met somebody else's at the same moment, are decided here, under the same locks.
 */
export async function appendBatch(
  parts: AppendParts,
  units: readonly AppendUnit[],
  op: AppendOperation,
): Promise<readonly AppendOutcome[]> {
  const { session, sql } = parts;
  const within = <T>(work: (connection: Connection) => Promise<T>): Promise<T> =>
    session.write(op, (connection) => besideTools(work(connection)));
  if (op.onBusy === "wait") return within((connection) => appendUnits(connection, sql, units, op, parts.counts));

  const batch = new Batch(units);
  const outcomes = await session.autocommit(op, (connection) => appendPlain(connection, sql, batch, false));
  return complete(units, outcomes, async (left) => {
    try {
      return await within((connection) => decideUnits(connection, sql, left, op, parts.counts));
    } catch (error) {
      if (parts.counts || !(error instanceof Error && isLockTimeout(error.cause))) throw error;
      // A tool is inserting events of one of them without its aggregate's row: nobody knows of which. Each waits by itself.
      return left.map(() => ({ kind: "busy", part: 0 }));
    }
  });
}

/** Appends a batch in the transaction that is open on the connection. */
export async function appendUnits(
  connection: Connection,
  sql: Statements,
  units: readonly AppendUnit[],
  op: AppendOperation,
  counts: boolean,
): Promise<readonly AppendOutcome[]> {
  const outcomes = await besideTools(appendPlain(connection, sql, new Batch(units), true));
  return complete(units, outcomes, (left) => besideTools(decideUnits(connection, sql, left, op, counts)));
}

/** Tools that insert events by themselves do not lock the aggregate: they may come between the look at it and our insert. */
async function besideTools<T>(appending: Promise<T>): Promise<T> {
  try {
    return await appending;
  } catch (error) {
    throw isDuplicate(error) ? insertedBeside(error) : error;
  }
}

/** Undefined: left to be decided with the stored events at hand. */
type Outcomes = readonly (AppendOutcome | undefined)[];

async function complete(
  units: readonly AppendUnit[],
  outcomes: Outcomes,
  decide: (left: readonly AppendUnit[]) => Promise<readonly AppendOutcome[]>,
): Promise<readonly AppendOutcome[]> {
  const left = units.filter((_unit, index) => outcomes[index] === undefined);
  const decided = left.length === 0 ? [] : [...(await decide(left))];
  return units.map((_unit, index) => {
    const outcome = outcomes[index] ?? decided.shift();
    if (outcome === undefined) throw new RangeError(`Unit ${index} was not decided.`);
    return outcome;
  });
}

/** A batch as the arrays that statements take. Aggregates are distinct and in one order, in which everybody locks them. */
class Batch {
  readonly units: readonly AppendUnit[];
  readonly refs: readonly AggregateRef[];
  readonly parts: readonly BatchPart[];
  /** Whether an aggregate gets the same event id twice. */
  readonly repeatsIds: boolean;

  constructor(units: readonly AppendUnit[]) {
    this.units = units;
    const refs = new Map<string, AggregateRef>();
    const keyed: { readonly part: AppendPart; readonly unit: number; readonly key: string }[] = [];
    for (const [unit, { parts }] of units.entries()) {
      for (const part of parts) {
        const key = aggregateKey(part.ref);
        refs.set(key, part.ref);
        keyed.push({ part, unit, key });
      }
    }
    const sorted = [...refs].toSorted(byKey);
    const numberOf = new Map(sorted.map(([key], index) => [key, index + 1]));
    this.refs = sorted.map(([, ref]) => ref);
    this.parts = keyed.map(({ part, unit, key }) => ({ part, unit, aggregate: numberOf.get(key) ?? 0 }));
    this.repeatsIds = sorted.length < keyed.length && this.#hasRepeatedIds();
  }

  #hasRepeatedIds(): boolean {
    const seen = new Map<number, Set<string>>();
    return this.parts.some(({ part, aggregate }) => {
      const ids = seen.get(aggregate) ?? new Set();
      seen.set(aggregate, ids);
      return part.events.some((event) => ids.size === ids.add(event.id).size);
    });
  }
}

interface BatchPart {
  readonly part: AppendPart;
  readonly unit: number;
  /** Which of the batch's aggregates, from 1. */
  readonly aggregate: number;
}

/** Any order will do that is the same everywhere; this one costs the least. */
function byKey([a]: readonly [string, AggregateRef], [b]: readonly [string, AggregateRef]): number {
  return a < b ? -1 : 1;
}

interface PlainColumns {
  readonly kinds: readonly number[];
  readonly parts: readonly number[];
  readonly actuals: readonly number[];
  readonly bases: readonly number[];
  readonly positions: readonly number[];
}

/** Lets the server decide what it can. When it meets somebody else's batch, nothing is decided and nothing written. */
async function appendPlain(connection: Connection, sql: Statements, batch: Batch, waits: boolean): Promise<Outcomes> {
  if (batch.repeatsIds) return batch.units.map(() => undefined);
  try {
    return decodePlain(batch, await connection.get(sql.append, waits, ...plainValues(batch)));
  } catch (error) {
    if (waits || !isUndecided(error)) throw error;
    return batch.units.map(() => undefined);
  }
}

/** Column by column in one pass: this is done for every append, and it shows. */
function plainValues({ refs, parts }: Batch): readonly unknown[] {
  const part = { units: newNumbers(), aggregates: newNumbers(), expected: newNumbers(), counts: newNumbers() };
  const event = { parts: newNumbers(), numbers: newNumbers(), buckets: newNumbers(), times: newNumbers() };
  const of = { contexts: newTexts(), types: newTexts(), ids: newTexts() };
  const given = { ids: newTexts(), types: newTexts(), data: newTexts(), metadata: newTexts() };
  for (const {
    part: { ref, bucket, expected, events },
    unit,
    aggregate,
  } of parts) {
    part.units.push(unit);
    part.aggregates.push(aggregate);
    part.expected.push(encodeExpected(expected));
    const number = part.counts.push(events.length);
    for (const [index, { id, type, data, metadata, occurredOn }] of events.entries()) {
      event.parts.push(number);
      event.numbers.push(index + 1);
      event.buckets.push(bucket);
      event.times.push(occurredOn);
      of.contexts.push(ref.context);
      of.types.push(ref.type);
      of.ids.push(ref.id);
      given.ids.push(id);
      given.types.push(type);
      given.data.push(data);
      given.metadata.push(metadata);
    }
  }
  return [
    ...refArrays(refs),
    ...[part.units, part.aggregates, part.expected, part.counts, event.parts, event.numbers].map(numbers),
    ...[of.contexts, of.types, of.ids].map(texts),
    numbers(event.buckets),
    ...[given.ids, given.types, given.data, given.metadata].map(texts),
    numbers(event.times),
  ];
}

function newNumbers(): number[] {
  return [];
}

function newTexts(): string[] {
  return [];
}

/** No aggregate has a version above this. */
const NO_VERSION = 0x7fff_ffff;

function encodeExpected(expected: AppendPart["expected"]): number {
  switch (expected) {
    case "any":
      return -1;
    case "exists":
      return -2;
    case "none":
      return 0;
    default:
      return Math.min(expected, NO_VERSION);
  }
}

function decodePlain({ units }: Batch, row: unknown): Outcomes {
  const { kinds, parts, actuals, bases, positions } = row as PlainColumns;
  let part = 0;
  let event = 0;
  return units.map((unit, index): AppendOutcome | undefined => {
    const firstPart = part;
    part += unit.parts.length;
    const refused = numberAt(parts, index);
    switch (numberAt(kinds, index)) {
      case 0:
        return {
          kind: "appended",
          parts: unit.parts.map(({ events }, number): AppendedPart => {
            const base = numberAt(bases, firstPart + number);
            const own = positions.slice(event, event + events.length).map(toPosition);
            event += events.length;
            return { first: base + 1, last: base + events.length, positions: own };
          }),
        };
      case 1:
        return { kind: "conflict", part: refused, actual: numberAt(actuals, index) };
      case 2:
        return { kind: "busy", part: refused };
      default:
        return undefined;
    }
  });
}

/** Decides units with the stored events at hand, in the transaction that is open on the connection. */
async function decideUnits(
  connection: Connection,
  sql: Statements,
  units: readonly AppendUnit[],
  op: AppendOperation,
  counts: boolean,
): Promise<readonly AppendOutcome[]> {
  const { refs } = new Batch(units);
  // Before any aggregate, so that those who count never wait for each other in a circle.
  const counter = counts ? await connection.number(sql.lockCounter) : undefined;
  const heads = await lockHeads(connection, sql, refs, op.onBusy);
  const known = await findKnown(connection, sql, units, heads);
  const plan = planBatch(
    units,
    {
      head: (ref) => heads.get(aggregateKey(ref)) ?? 0,
      known: (ref, eventId) => known.get(eventKey(ref, eventId)),
      busy: (ref) => !heads.has(aggregateKey(ref)),
    },
    op.sameContent,
  );
  const positions = await insertRows(connection, sql, plan, counter);
  if ([...heads.values()].includes(0)) await connection.run(sql.removeUnusedAggregates, ...refArrays(refs));
  return plan.outcomes((row) => positionAt(positions, row));
}

/** The version of each aggregate that could be locked, by its key. Those that somebody else has are left out, or waited for. */
async function lockHeads(
  connection: Connection,
  sql: Statements,
  refs: readonly AggregateRef[],
  onBusy: AppendOperation["onBusy"],
): Promise<ReadonlyMap<string, number>> {
  if (onBusy === "wait") {
    await connection.run(sql.makeAggregates, ...refArrays(refs));
  } else {
    for (const ref of refs) await makeUnlessBusy(connection, sql, ref);
  }
  return decodeHeads(refs, await connection.all(sql.lockAggregates, onBusy === "wait", ...refArrays(refs)));
}

/** One by one: whoever is making one of them holds up that one only. */
async function makeUnlessBusy(connection: Connection, sql: Statements, ref: AggregateRef): Promise<void> {
  await connection.script(`savepoint tidemark_aggregate; set local lock_timeout = ${NEW_AGGREGATE_MS}`);
  try {
    await connection.run(sql.makeAggregates, ...refArrays([ref]));
    await connection.script("release tidemark_aggregate");
  } catch (error) {
    if (!isLockTimeout(error)) throw error;
    await connection.script("rollback to tidemark_aggregate");
  }
}

function decodeHeads(refs: readonly AggregateRef[], rows: readonly unknown[]): ReadonlyMap<string, number> {
  const heads = new Map<string, number>();
  for (const row of rows) {
    const { n, version } = row as { readonly n: number; readonly version: number };
    const ref = refs[n - 1];
    if (ref !== undefined) heads.set(aggregateKey(ref), version);
  }
  return heads;
}

/** Events that the aggregates have already, of those that the units bring. */
async function findKnown(
  connection: Connection,
  sql: Statements,
  units: readonly AppendUnit[],
  heads: ReadonlyMap<string, number>,
): Promise<ReadonlyMap<string, KnownEvent>> {
  const given = units
    .flatMap((unit) => unit.parts)
    .filter((part) => (heads.get(aggregateKey(part.ref)) ?? 0) > 0)
    .flatMap((part) => part.events.map((event) => ({ ref: part.ref, id: event.id })));
  const known = new Map<string, KnownEvent>();
  if (given.length === 0) return known;
  const ids = given.map(({ id }) => id);
  const rows = await connection.all(sql.knownEvents, ...refArrays(given.map(({ ref }) => ref)), ids);
  for (const row of rows) {
    const found = given[(row as { readonly n: number }).n - 1];
    if (found !== undefined) known.set(eventKey(found.ref, found.id), decodeKnown(row));
  }
  return known;
}

async function insertRows(
  connection: Connection,
  sql: Statements,
  { rows, heads }: BatchPlan,
  counter: number | undefined,
): Promise<readonly Position[]> {
  if (rows.length === 0) return [];
  const inserted = await connection.all(
    sql.insertEvents,
    counter ?? null,
    ...refArrays(rows.map(({ ref }) => ref)),
    numbers(rows.map(({ version }) => version)),
    numbers(rows.map(({ bucket }) => bucket)),
    rows.map(({ event }) => event.id),
    rows.map(({ event }) => event.type),
    rows.map(({ event }) => event.data),
    rows.map(({ event }) => event.metadata),
    numbers(rows.map(({ event }) => event.occurredOn)),
  );
  const versions = numbers(heads.map(({ version }) => version));
  await connection.run(sql.setVersions, ...refArrays(heads.map(({ ref }) => ref)), versions);
  if (counter !== undefined) await connection.run(sql.setCounter, counter + rows.length);
  return inserted.map((row) => toPosition((row as { readonly position: number }).position));
}

function refArrays(refs: readonly AggregateRef[]): readonly string[] {
  return [texts(refs.map((ref) => ref.context)), texts(refs.map((ref) => ref.type)), texts(refs.map((ref) => ref.id))];
}

function eventKey(ref: AggregateRef, eventId: string): string {
  return `${aggregateKey(ref)} ${eventId}`;
}

function numberAt(values: readonly number[], index: number): number {
  const value = values[index];
  if (value === undefined) throw new RangeError(`The server did not answer for ${index}.`);
  return value;
}

function positionAt(positions: readonly Position[], row: number): Position {
  const position = positions[row];
  if (position === undefined) throw new RangeError(`Row ${row} was not inserted.`);
  return position;
}

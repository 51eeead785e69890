import { type AggregateRef, toPosition } from "@tidemark/core";
import {
  aggregateKey,
  type AppendedPart,
  type AppendOutcome,
  type AppendPart,
  type AppendUnit,
} from "@tidemark/core/spi";
import { inLockOrder, NO_VERSION } from "@tidemark/sql-kit";
import { numbers, texts } from "./connection.ts";
import { isUndecided } from "./driver-errors.ts";
import { type AppendPlace, refArrays } from "./insert.ts";

/** Undefined: left to be decided with the stored events at hand. */
export type Outcomes = readonly (AppendOutcome | undefined)[];

/**
 * Lets the server decide and write what needs no second thought, by one statement. When it meets somebody else's batch,
 * nothing is decided and nothing written.
 */
export async function appendPlain(
  { connection, sql }: AppendPlace,
  units: readonly AppendUnit[],
  waits: boolean,
): Promise<Outcomes> {
  const batch = new Batch(units);
  if (batch.repeatsIds) return units.map(() => undefined);
  try {
    return decodePlain(batch, await connection.get(sql.append, waits, ...plainValues(batch)));
  } catch (error) {
    if (waits || !isUndecided(error)) throw error;
    return units.map(() => undefined);
  }
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
    const sorted = inLockOrder(refs);
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

interface PlainColumns {
  readonly kinds: readonly number[];
  readonly parts: readonly number[];
  readonly actuals: readonly number[];
  readonly bases: readonly number[];
  readonly positions: readonly number[];
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

function numberAt(values: readonly number[], index: number): number {
  const value = values[index];
  if (value === undefined) throw new RangeError(`The server did not answer for ${index}.`);
  return value;
}

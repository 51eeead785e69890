import type { AggregateRef, Position } from "@tidemark/core";
import { aggregateKey, type AppendUnit, type BatchState, type KnownEvent } from "@tidemark/core/spi";

/** The aggregates of a batch: distinct, in one order, in which everybody locks them. */
export function refsOf(units: readonly AppendUnit[]): readonly AggregateRef[] {
  const refs = new Map(units.flatMap(({ parts }) => parts.map(({ ref }) => [aggregateKey(ref), ref] as const)));
  return inLockOrder(refs).map(([, ref]) => ref);
}

/** The same of aggregates by their keys. Any order will do that is the same everywhere; this one costs the least. */
export function inLockOrder(
  refs: ReadonlyMap<string, AggregateRef>,
): readonly (readonly [key: string, ref: AggregateRef])[] {
  return [...refs].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/**
 * What was read under the locks. `heads`: the version of each aggregate that could be locked, by its key; those that somebody
 * else has are not among them. `known`: events that the units bring and the aggregates have, by their keys.
 */
export function batchState(
  heads: ReadonlyMap<string, number>,
  known: ReadonlyMap<string, KnownEvent>,
): Required<BatchState> {
  return {
    head: (ref) => heads.get(aggregateKey(ref)) ?? 0,
    known: (ref, eventId) => known.get(eventKey(ref, eventId)),
    busy: (ref) => !heads.has(aggregateKey(ref)),
  };
}

/** One string for one event of one aggregate. For maps in memory only. */
export function eventKey(ref: AggregateRef, eventId: string): string {
  return `${aggregateKey(ref)} ${eventId}`;
}

/** Of the planned row, as it was inserted. */
export function positionAt(positions: readonly Position[], row: number): Position {
  const position = positions[row];
  if (position === undefined) throw new RangeError(`Row ${row} was not inserted.`);
  return position;
}

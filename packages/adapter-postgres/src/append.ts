import type { AggregateRef } from "@tidemark/core";
import {
  aggregateKey,
  type AppendOperation,
  type AppendOutcome,
  type AppendUnit,
  type KnownEvent,
  planBatch,
} from "@tidemark/core/spi";
import { batchState, decodeKnown, eventKey, positionAt, refsOf } from "@tidemark/sql-kit";
import type { Connection } from "./connection.ts";
import { isDuplicate, isLockTimeout } from "./driver-errors.ts";
import { insertedBeside } from "./errors.ts";
import { type AppendPlace, insertRows, refArrays } from "./insert.ts";
import { appendPlain, type Outcomes } from "./plain.ts";
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
  { session, ...parts }: AppendParts,
  units: readonly AppendUnit[],
  op: AppendOperation,
): Promise<readonly AppendOutcome[]> {
  const within = <T>(work: (place: AppendPlace) => Promise<T>): Promise<T> =>
    session.write(op, (connection) => besideTools(work({ ...parts, connection })));
  if (op.onBusy === "wait") return within((place) => appendUnits(place, units, op));

  const outcomes = await session.autocommit(op, (connection) => appendPlain({ ...parts, connection }, units, false));
  return complete(units, outcomes, async (left) => {
    try {
      return await within((place) => decideUnits(place, left, op));
    } catch (error) {
      if (parts.counts || !(error instanceof Error && isLockTimeout(error.cause))) throw error;
      // A tool is inserting events of one of them without its aggregate's row: nobody knows of which. Each waits by itself.
      return left.map(() => ({ kind: "busy", part: 0 }));
    }
  });
}

/** Appends a batch in the transaction that is open on the connection. */
export async function appendUnits(
  place: AppendPlace,
  units: readonly AppendUnit[],
  op: AppendOperation,
): Promise<readonly AppendOutcome[]> {
  const outcomes = await besideTools(appendPlain(place, units, true));
  return complete(units, outcomes, (left) => besideTools(decideUnits(place, left, op)));
}

/** Tools that insert events by themselves do not lock the aggregate: they may come between the look at it and our insert. */
async function besideTools<T>(appending: Promise<T>): Promise<T> {
  try {
    return await appending;
  } catch (error) {
    throw isDuplicate(error) ? insertedBeside(error) : error;
  }
}

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

/** Decides units with the stored events at hand. */
async function decideUnits(
  place: AppendPlace,
  units: readonly AppendUnit[],
  op: AppendOperation,
): Promise<readonly AppendOutcome[]> {
  const { connection, sql, counts } = place;
  const refs = refsOf(units);
  // Before any aggregate, so that those who count never wait for each other in a circle.
  const counter = counts ? await connection.number(sql.lockCounter) : undefined;
  const heads = await lockHeads(place, refs, op.onBusy);
  const known = await findKnown(place, units, heads);
  const plan = planBatch(units, batchState(heads, known), op.sameContent);
  const positions = await insertRows(place, plan, counter);
  if ([...heads.values()].includes(0)) await connection.run(sql.removeUnusedAggregates, ...refArrays(refs));
  return plan.outcomes((row) => positionAt(positions, row));
}

/** The version of each aggregate that could be locked, by its key. Those that somebody else has are left out, or waited for. */
async function lockHeads(
  { connection, sql }: AppendPlace,
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
  { connection, sql }: AppendPlace,
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

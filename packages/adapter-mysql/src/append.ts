import { type AggregateRef, isTidemarkError, START } from "@tidemark/core";
import {
  aggregateKey,
  type AppendOperation,
  type AppendOutcome,
  type AppendUnit,
  type BatchPlan,
  type KnownEvent,
  planBatch,
  throwIfAborted,
} from "@tidemark/core/spi";
import { batchState, decodeKnown, eventKey, positionAt, refsOf } from "@tidemark/sql-kit";
import { anyOf, type Connection, isBegunAfter, list, rows, type Statement, type Value } from "./connection.ts";
import { isDeadlock, isDuplicate, isLockTimeout, isNull, isOfLoss, isRefusedByOthersIndex } from "./driver-errors.ts";
import { insertedBeside, notTakenBack, setOtherwise, undoneBeside } from "./errors.ts";
import { type AppendPlace, type Around, insertRows, type Witness, witnessOf } from "./insert.ts";
import type { Session } from "./session.ts";
import type { Statements } from "./statements.ts";

/** How often a batch begins anew because somebody has made one of its aggregates at the same moment. */
const ATTEMPTS = 5;

/** What appending needs to know of the store. */
export interface AppendParts {
  readonly session: Session;
  readonly sql: Statements;
  /** Whether positions come from the counter. */
  readonly counts: boolean;
}

/** Appends a batch in a transaction of its own. */
export async function appendBatch(
  { session, ...parts }: AppendParts,
  units: readonly AppendUnit[],
  op: AppendOperation,
): Promise<readonly AppendOutcome[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      // Ids that are known already are rare, and the index of events notices them as well: then it looks them up.
      const looks = attempt > 1;
      return await session.write(op, (connection, profile) => {
        const now: AppendPlace["now"] = (work) => work(connection);
        return decideUnits({ ...parts, connection, profile, now, looks, registers: { as: "batch" } }, units, op);
      });
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined;
      if (op.onBusy === "leave" && !parts.counts && isLockTimeout(cause)) {
        // Somebody is making one of the aggregates, who was not yet there at the look before: nobody knows which.
        return units.map(() => ({ kind: "busy", part: 0 }));
      }
      if (![error, cause].some(isDuplicate) || [error, cause].some(isRefusedByOthersIndex)) throw error;
      if (attempt < ATTEMPTS) continue;
      // One of them is at odds with what somebody else has written. Which one shows when each goes by itself.
      if (op.onBusy === "leave") return units.map(() => ({ kind: "busy", part: 0 }));
      throw insertedBeside(error);
    }
  }
}

/** Where whoever takes no notice of an append's failure goes on from. */
const MARK = "savepoint tidemark_append";

/** Appends a batch in the transaction that is open on the connection. Of one that fails nothing is left there. */
export async function appendUnits(
  place: AppendPlace,
  units: readonly AppendUnit[],
  op: AppendOperation,
): Promise<readonly AppendOutcome[]> {
  await place.connection.scriptBefore(MARK);
  try {
    return await decideUnits(place, units, op);
  } catch (error) {
    const failure = await takeBack(place, error);
    if (!isDuplicate(failure) || isRefusedByOthersIndex(failure)) throw failure;
  }
  try {
    return await decideUnits({ ...place, looks: true }, units, op);
  } catch (error) {
    const failure = await takeBack(place, error);
    throw isDuplicate(failure) && !isRefusedByOthersIndex(failure) ? insertedBeside(failure) : failure;
  }
}

/** Takes back what an append has written that has failed. What its caller is to be told. */
async function takeBack({ connection, registers }: AppendPlace, error: unknown): Promise<unknown> {
  // The server has taken everything back.
  if (isDeadlock(error)) return error;
  try {
    if (registers.as === "lent") registers.lent.isRegistered = false;
    await connection.script(`rollback to ${MARK}`);
    return error;
  } catch (failure) {
    if (registers.as === "lent") registers.lent.giveUp();
    if (isNull(error)) return undoneBeside(error);
    return registers.as === "lent" || isOfLoss(failure) || isTidemarkError(error, "CONTENTION")
      ? error
      : notTakenBack(error);
  }
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
  const counter = counts ? await lockCounter(connection, sql) : undefined;
  const locked = await lockHeads(place, refs, op.onBusy);
  // What is written next may be committed together with it.
  throwIfAborted(op.signal);
  const decide = (known: ReadonlyMap<string, KnownEvent>): BatchPlan =>
    planBatch(units, batchState(locked.heads, known), op.sameContent);
  const plan =
    (place.looks ? undefined : plainly(decide(NOTHING_KNOWN))) ?? decide(await findKnown(place, units, locked.heads));
  const witness = witnessOf(place, plan.rows.length, counter);
  const around = headStatements(place, refs, locked, plan, op.onBusy, witness);
  const positions = await insertRows(place, plan.rows, around, counter, witness);
  return plan.outcomes((row) => positionAt(positions, row));
}

/** The position that was given out last. */
async function lockCounter(connection: Connection, sql: Statements): Promise<number> {
  const row = await connection.get(sql.lockCounter);
  const { position = null } = (row ?? {}) as { readonly position?: number | null };
  // A borrower or a caller has set the session otherwise.
  if (position === null) throw setOtherwise();
  return position;
}

const NOTHING_KNOWN: ReadonlyMap<string, KnownEvent> = new Map();

/** A plan that stands if no id is known: one without conflicts, which a repetition would not be. */
function plainly(plan: BatchPlan): BatchPlan | undefined {
  const outcomes = plan.outcomes(() => START);
  return outcomes.some(({ kind }) => kind === "conflict") ? undefined : plan;
}

/** What is locked. */
interface Locked {
  /** The version of each aggregate, by its key. */
  readonly heads: ReadonlyMap<string, number>;
  /** The keys of those that have no row yet. A row may have version 0, where a tool has left it so. */
  readonly absent: ReadonlySet<string>;
}

/** The aggregates that could be locked. Those that somebody else has are left out, or waited for. */
async function lockHeads(
  { connection, sql, registers }: AppendPlace,
  refs: readonly AggregateRef[],
  onBusy: AppendOperation["onBusy"],
): Promise<Locked> {
  const make = (unmade: readonly AggregateRef[]): Promise<number> =>
    connection.run(sql.makeAggregates, aggregateRows(unmade.map((ref) => ({ ref, version: 0 }))));
  // In REPEATABLE READ to look for one that is not there would keep others from making its neighbours.
  if (registers.as === "caller") await make(refs);
  const statement = onBusy === "wait" ? sql.lockAggregates : sql.lockFreeAggregates;
  const heads = decodeHeads(await connection.all(statement, aggregates(refs)));
  const missing = refs.filter((ref) => !heads.has(aggregateKey(ref)));
  if (missing.length === 0) return { heads, absent: new Set() };
  if (onBusy === "leave") {
    const absent = (await findAbsent(connection, sql, missing)).map(aggregateKey);
    for (const key of absent) heads.set(key, 0);
    return { heads, absent: new Set(absent) };
  }
  await make(missing);
  const made = decodeHeads(await connection.all(sql.lockAggregates, aggregates(missing)));
  if (made.size < missing.length) throw undoneBeside();
  return { heads: new Map([...heads, ...made]), absent: new Set() };
}

/** Which of the aggregates are not there at all; of the others, each is locked by somebody, perhaps who is making it. */
async function findAbsent(
  connection: Connection,
  sql: Statements,
  refs: readonly AggregateRef[],
): Promise<readonly AggregateRef[]> {
  if (refs.length === 0) return [];
  if (await areAbsent(connection, sql, refs)) return refs;
  if (refs.length === 1) return [];
  const half = Math.ceil(refs.length / 2);
  return [
    ...(await findAbsent(connection, sql, refs.slice(0, half))),
    ...(await findAbsent(connection, sql, refs.slice(half))),
  ];
}

async function areAbsent(connection: Connection, sql: Statements, refs: readonly AggregateRef[]): Promise<boolean> {
  try {
    return (await connection.all(sql.findNoAggregate, aggregates(refs))).length === 0;
  } catch (error) {
    // On MariaDB with innodb_rollback_on_timeout, the transaction is over, and what came next would be by itself.
    if (isLockTimeout(error) && isBegunAfter(await connection.script("do 0"))) return false;
    throw error;
  }
}

function decodeHeads(rows: readonly unknown[]): Map<string, number> {
  const heads = new Map<string, number>();
  for (const row of rows) {
    const { version, ...ref } = row as AggregateRef & { readonly version: number };
    heads.set(aggregateKey(ref), version);
  }
  return heads;
}

/** Events that the aggregates have already, of those that the units bring. */
async function findKnown(
  { connection, sql, now }: AppendPlace,
  units: readonly AppendUnit[],
  heads: ReadonlyMap<string, number>,
): Promise<ReadonlyMap<string, KnownEvent>> {
  const known = new Map<string, KnownEvent>();
  const given = units
    .flatMap((unit) => unit.parts)
    .filter((part) => (heads.get(aggregateKey(part.ref)) ?? 0) > 0)
    .map(({ ref, events }) => [ref.context, ref.type, ref.id, list(events.map(({ id }) => id))]);
  if (given.length === 0) return known;
  const isGiven = anyOf(["context", "aggregate_type", "aggregate_id", "event_id"], given);
  const look = (on: Connection): Promise<readonly unknown[]> => on.all(sql.knownEvents, isGiven);
  for (const row of await look(connection)) addKnown(known, row);
  // The aggregates are locked: what others have committed of them stays as it is.
  await now(async (on) => {
    if (on === connection) return;
    for (const row of await look(on)) addKnown(known, row);
  });
  return known;
}

function addKnown(known: Map<string, KnownEvent>, row: unknown): void {
  const { context, aggregate_type: type, aggregate_id: id, event_id } = row as KnownColumns;
  known.set(eventKey({ context, type, id }, event_id), decodeKnown(row));
}

interface KnownColumns {
  readonly context: string;
  readonly aggregate_type: string;
  readonly aggregate_id: string;
  readonly event_id: string;
}

/**
 * Versions are written before the events where that may have to wait for somebody: readers shall not have to. And where
 * somebody may roll back to a savepoint in between: then nothing is written any more.
 */
function headStatements(
  { sql, registers }: AppendPlace,
  refs: readonly AggregateRef[],
  { heads: before, absent }: Locked,
  { heads }: BatchPlan,
  onBusy: AppendOperation["onBusy"],
  witness: Witness | undefined,
): Around {
  const setting = (some: BatchPlan["heads"], statement: string): readonly Statement[] =>
    some.length === 0 ? [] : [{ sql: statement, values: [aggregateRows(some, witness)] }];
  if (onBusy === "leave") {
    const made = heads.filter(({ ref }) => !absent.has(aggregateKey(ref)));
    const unmade = heads.filter(({ ref }) => absent.has(aggregateKey(ref)));
    return { before: [...setting(unmade, sql.insertAggregates), ...setting(made, sql.setVersions)], after: [] };
  }
  // There are rows of all by now, locked.
  const written = new Set(heads.map(({ ref }) => aggregateKey(ref)));
  const unused = refs.filter((ref) => before.get(aggregateKey(ref)) === 0 && !written.has(aggregateKey(ref)));
  const removing = unused.length === 0 ? [] : [{ sql: sql.removeUnusedAggregates, values: [aggregates(unused)] }];
  const versions = setting(heads, sql.setVersions);
  return registers.as === "batch"
    ? { before: [], after: [...versions, ...removing] }
    : { before: versions, after: removing };
}

/** By context and type: lists of ids cost the server less than as many alternatives. */
function aggregates(refs: readonly AggregateRef[]): Value {
  const groups = new Map<string, { readonly context: string; readonly type: string; readonly ids: string[] }>();
  for (const { context, type, id } of refs) {
    const key = `${context.length} ${context} ${type}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { context, type, ids: [id] });
    else group.ids.push(id);
  }
  const alternatives = [...groups.values()].map(({ context, type, ids }) => [context, type, list(ids)]);
  return anyOf(["context", "type", "id"], alternatives);
}

function aggregateRows(
  heads: readonly { readonly ref: AggregateRef; readonly version: number }[],
  witness?: Witness,
): Value {
  return rows(
    heads.map(({ ref, version }, index) => {
      const isFirst = index === 0 && witness !== undefined;
      return [ref.context, ref.type, ref.id, isFirst ? witness.only(version) : version];
    }),
  );
}

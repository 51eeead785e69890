import { type Position, toPosition } from "@tidemark/core";
import type { BatchPlan, PlannedRow } from "@tidemark/core/spi";
import type { ResultSetHeader } from "mysql2/promise";
import {
  bytesOf,
  type Connection,
  expression,
  isBegunAfter,
  rows,
  type Statement,
  subquery,
  type Value,
} from "./connection.ts";
import { transactionEnded, undoneBeside } from "./errors.ts";
import { createRegistrationId, type Lent } from "./lent.ts";
import { piecesOf, refuseUnreadable, roomIn } from "./pieces.ts";
import { checkEscapes, checkRegistered, type Profile } from "./profile.ts";
import { NOW_MS, type Statements } from "./statements.ts";

export type Registering =
  | { readonly as: "batch" }
  | { readonly as: "lent"; readonly lent: Pick<Lent, "id" | "isRegistered" | "giveUp"> }
  | { readonly as: "caller" };

/** Where units are decided and written: in a transaction that is open on the connection. */
export interface AppendPlace {
  readonly sql: Statements;
  /** Whether positions come from the counter. */
  readonly counts: boolean;
  readonly connection: Connection;
  readonly profile: Profile;
  /** Runs a query that must see everything that is committed, which the transaction itself need not. */
  readonly now: <T>(work: (connection: Connection) => Promise<T>) => Promise<T>;
  /** Whether to look up beforehand which event ids are known already. If not, it is once inserting one has failed. */
  readonly looks: boolean;
  /** How the transaction registers: as one of ours that appends once, as one that was lent, as a caller's. */
  readonly registers: Registering;
}

/** What is written beside the events. */
export interface Around {
  readonly before: readonly Statement[];
  readonly after: readonly Statement[];
}

/** Writes the events, and what is around them. Their positions. */
export async function insertRows(
  place: AppendPlace,
  planned: BatchPlan["rows"],
  around: Around,
  counter: number | undefined,
  witness: Witness | undefined,
): Promise<readonly Position[]> {
  const { connection, sql, profile } = place;
  if (planned.length === 0) {
    await connection.writeAll([...around.before, ...around.after]);
    return [];
  }
  for (const { event } of planned) refuseUnreadable([event.data, event.metadata], profile);
  if (counter === undefined) {
    const first = await insertConsecutive(place, planned, around, witness);
    return planned.map((_row, index) => toPosition(first + index));
  }
  const positions = planned.map((_row, index) => counter + 1 + index);
  const counting = { sql: sql.setCounter, values: [counter + planned.length] };
  // First where it is the witness.
  if (witness !== undefined) checkOpen(await connection.write(counting.sql, ...counting.values));
  await connection.writeAll(around.before);
  await insertAt(place, planned, positions, witness);
  await connection.writeAll([...around.after, ...(witness === undefined ? [counting] : [])]);
  return positions.map(toPosition);
}

/**
 * The row that somebody could take away between two statements of ours, by rolling back to a savepoint: what is written
 * afterwards looks at it.
 */
export interface Witness {
  /** Of a registration. */
  readonly id?: bigint;
  /** Yields the value where the row is there. */
  readonly only: (value: Value) => Value;
}

/** None where the session is ours alone. */
export function witnessOf(
  { sql, registers }: AppendPlace,
  events: number,
  counter: number | undefined,
): Witness | undefined {
  if (registers.as === "batch") return undefined;
  if (counter !== undefined) return { only: (value) => subquery(sql.whereCounted, value, counter + events) };
  const id = registers.as === "lent" ? registers.lent.id : createRegistrationId();
  return { id, only: (value) => subquery(sql.whereRegistered, value, id) };
}

/**
 * Inserts all rows by one statement, so that nobody's positions are between theirs, and a frontier never is. What is
 * longer than a statement may be follows. The first position.
 */
async function insertConsecutive(
  place: AppendPlace,
  planned: BatchPlan["rows"],
  { before, after }: Around,
  witness: Witness | undefined,
): Promise<number> {
  const { connection, sql, profile } = place;
  const valuesOf = (text?: ""): ReturnType<typeof rows> =>
    rows(planned.map((row, index) => eventValues(row, text, index === 0 ? witness : undefined)));
  const whole = valuesOf();
  const fits = bytesOf(whole) <= roomIn(profile);
  const values = fits ? whole : valuesOf("");
  const ahead = [...before, ...(await registration(place, witness))];
  const insert = { sql: sql.insertEvents, values: [values] };
  const headers = await connection.writeAll([...ahead, insert, ...after, ...(fits ? endOf(place) : [])]);
  const first = Number(headers[ahead.length]?.insertId);
  const positions = planned.map((_row, index) => first + index);
  if (!fits) await fillIn(connection, sql, planned, positions, roomIn(profile));
  return first;
}

/** What says that the transaction is about to take positions, see migrations/1-log.ts. */
async function registration(
  { connection, sql, now, registers }: AppendPlace,
  witness: Witness | undefined,
): Promise<readonly Statement[]> {
  switch (registers.as) {
    case "batch":
      return [{ sql: sql.registerSession, values: [] }];
    case "lent":
      if (registers.lent.isRegistered) return [];
      checkSession(await connection.write(sql.registerLent, witness?.id));
      registers.lent.isRegistered = true;
      return [];
    case "caller":
      checkSession(await connection.write(sql.registerCallers, witness?.id, await now((on) => on.number(sql.mark))));
      return [];
  }
}

/** A batch has nothing to do after it has written, so that its last round trip is not one for the commit alone. */
function endOf({ registers }: AppendPlace): readonly Statement[] {
  return registers.as === "batch" ? [{ sql: "commit", values: [] }] : [];
}

/** Somebody may have ended the transaction or set the session otherwise since it was looked at. */
function checkSession(header: ResultSetHeader): void {
  checkOpen(header);
  checkEscapes(header);
  checkRegistered(header);
}

/** What came next would be committed by itself. */
function checkOpen(header: ResultSetHeader): void {
  if (!isBegunAfter(header)) throw transactionEnded();
}

/** By as many statements as their length asks for. */
async function insertAt(
  { connection, sql, profile }: AppendPlace,
  planned: BatchPlan["rows"],
  positions: readonly number[],
  witness: Witness | undefined,
): Promise<void> {
  let waiting: (readonly Value[])[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    if (waiting.length > 0) await connection.run(sql.insertAt, rows(waiting));
    waiting = [];
    bytes = 0;
  };
  for (const [index, row] of planned.entries()) {
    const size = sizeOf(row);
    if (bytes + size > roomIn(profile)) await flush();
    const first = waiting.length === 0 ? witness : undefined;
    if (size <= roomIn(profile)) {
      waiting.push([...eventValues(row, undefined, first), positions[index]]);
      bytes += size;
    } else {
      await connection.run(sql.insertAt, rows([[...eventValues(row, "", witness), positions[index]]]));
      await fillIn(connection, sql, [row], positions.slice(index, index + 1), roomIn(profile));
    }
  }
  await flush();
}

/** Data and metadata of rows that were inserted without. */
async function fillIn(
  connection: Connection,
  sql: Statements,
  planned: BatchPlan["rows"],
  positions: readonly number[],
  room: number,
): Promise<void> {
  let waiting: Statement[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    for (const { affectedRows } of await connection.writeAll(waiting)) checkFound(affectedRows);
    waiting = [];
    bytes = 0;
  };
  for (const [index, row] of planned.entries()) {
    const [position, size] = [positions[index] ?? 0, sizeOf(row)];
    if (bytes + size > room) await flush();
    if (size <= room) {
      waiting.push({ sql: sql.setData, values: [position, row.event.data, row.event.metadata] });
      bytes += size;
    } else {
      await fillByPieces(connection, sql, row, position, room);
    }
  }
  await flush();
}

/** An event that a statement has no room for, although a row has. */
async function fillByPieces(
  connection: Connection,
  sql: Statements,
  { event }: PlannedRow,
  position: number,
  room: number,
): Promise<void> {
  for (const piece of piecesOf(event.data, room)) checkFound(await connection.run(sql.appendData, position, piece));
  for (const piece of piecesOf(event.metadata, room)) {
    checkFound(await connection.run(sql.appendMetadata, position, piece));
  }
}

/** A row that was inserted a moment ago. */
function checkFound(count: number): void {
  if (count === 0) throw undoneBeside();
}

function eventValues({ ref, version, bucket, event }: PlannedRow, text?: "", witness?: Witness): readonly Value[] {
  return [
    ref.context,
    ref.type,
    ref.id,
    version,
    witness === undefined ? bucket : witness.only(bucket),
    event.id,
    event.type,
    text ?? event.data,
    text ?? event.metadata,
    event.occurredOn,
    NOW,
  ];
}

/** Of the row as a part of a statement, at most. */
function sizeOf(row: PlannedRow): number {
  return bytesOf(rows([eventValues(row)])) + ROW_OVERHEAD;
}

/** What a row or a statement has beside the values, such as a look at its witness. */
const ROW_OVERHEAD = 400;

/** By the database's clock. */
const NOW = expression(NOW_MS);

import { type Position, START, toPosition } from "@tidemark/core";
import type { AggregateQuery, FrontierHolderRow, LogPage, LogQuery, StoredEvent } from "@tidemark/core/spi";
import { decodeEvent } from "@tidemark/sql-kit";
import type { Connection } from "./connection.ts";
import type { Statements } from "./statements.ts";

export async function readAggregatePage(
  connection: Connection,
  sql: Statements,
  query: AggregateQuery,
): Promise<readonly StoredEvent[]> {
  const { ref, limit } = query;
  const [from, to] = [Math.max(query.from, 0), Math.min(query.to, NO_VERSION)];
  const statement = query.direction === "forward" ? sql.aggregateForward : sql.aggregateBackward;
  const rows = await connection.all(statement, ref.context, ref.type, ref.id, Math.min(from, NO_VERSION), to, limit);
  return rows.map(decodeEvent);
}

/** No aggregate has a version above this. */
const NO_VERSION = 0x7fff_ffff;

interface PageColumns {
  readonly position: number | null;
  readonly size: number | null;
}

/**
 * The highest position that was told as the head. A transaction registers with a mark that it has read a moment before,
 * so that the frontier may go back until it ends. What was told stays true, and is what readers are told again.
 */
export class Told {
  highest: Position = START;

  raise(position: Position): void {
    if (position > this.highest) this.highest = position;
  }
}

export async function readLogPage(
  connection: Connection,
  sql: Statements,
  query: LogQuery,
  told: Told,
): Promise<LogPage> {
  const { after, limit, bytes, scope } = query;
  const rows = await connection.all(
    sql.logPage,
    after,
    limit,
    bytes,
    scope.segment,
    scope.segments,
    scope.contexts,
    scope.aggregateTypes,
    scope.eventTypes,
  );
  const head = asColumns(rows.at(-1));
  const events = rows.slice(0, -1).map(decodeEvent);
  const size = rows.reduce<number>((sum, row) => sum + (asColumns(row).size ?? 0), 0);
  const last = events.at(-1);
  // Full: there may be more, so the reader goes on from here.
  if (last !== undefined && (events.length === limit || size >= bytes)) return { events, next: last.position };
  const next = toPosition(head.position ?? 0);
  // A reader that went back would get events again.
  if (next < after) return { events, next: after };
  told.raise(next);
  return { events, next };
}

export async function readHead(connection: Connection, sql: Statements, told: Told): Promise<Position> {
  const head = toPosition(await connection.number(sql.head));
  if (head >= told.highest || (await connection.number(sql.eventsAt, told.highest)) === 0) {
    // Where the event is gone, so is the log that was: somebody has emptied it.
    told.highest = head;
  }
  return told.highest;
}

/** In two steps, because what is at or below the frontier stays as it is. */
export async function readPositionBefore(connection: Connection, sql: Statements, time: number): Promise<Position> {
  const frontier = await connection.number(sql.frontier);
  return toPosition(await connection.number(sql.positionBefore, time, Math.min(frontier, Number.MAX_SAFE_INTEGER)));
}

export async function readFrontierHolders(
  connection: Connection,
  sql: Statements,
): Promise<readonly FrontierHolderRow[]> {
  const rows = await connection.all(sql.frontierHolders);
  return rows.map((row) => {
    const { position, since, session, application } = asHolder(row);
    return {
      position: toPosition(position),
      since: since ?? undefined,
      // One that is about to end may be listed without anything that tells who it is.
      session: session ?? "unknown",
      application: application ?? undefined,
    };
  });
}

interface HolderColumns {
  readonly position: number;
  readonly since: number | null;
  readonly session: string | null;
  readonly application: string | null;
}

function asHolder(row: unknown): HolderColumns {
  return row as HolderColumns;
}

function asColumns(row: unknown): PageColumns {
  return row as PageColumns;
}

import { type Position, toPosition } from "@tidemark/core";
import type {
  AggregateQuery,
  EventIdQuery,
  FrontierHolderRow,
  LogPage,
  LogQuery,
  StoredEvent,
} from "@tidemark/core/spi";
import { decodeEvent, decodeHolder, NO_VERSION, type Told } from "@tidemark/sql-kit";
import type { Connection } from "./connection.ts";
import type { Statements } from "./statements.ts";

export async function readAggregatePage(
  connection: Connection,
  sql: Statements,
  query: AggregateQuery,
): Promise<readonly StoredEvent[]> {
  const { ref, limit, bytes } = query;
  const { context, type, id } = ref;
  const from = Math.min(Math.max(query.from, 0), NO_VERSION);
  const to = Math.min(query.to, NO_VERSION);
  const statement = query.direction === "forward" ? sql.aggregateForward : sql.aggregateBackward;
  const rows = await connection.all(statement, context, type, id, from, to, limit, bytes);
  return rows.map(decodeEvent);
}

export async function readEventIdPage(
  connection: Connection,
  sql: Statements,
  query: EventIdQuery,
): Promise<readonly StoredEvent[]> {
  const { ref, after, until, from, to, limit, bytes } = query;
  const { context, type, id } = ref;
  const rows = await connection.all(sql.eventsById, context, type, id, after, until, from, to, limit, bytes);
  return rows.map(decodeEvent);
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
  const { position: head } = asHead(rows.at(-1));
  const events = rows.slice(0, -1).map(decodeEvent);
  const size = rows.reduce<number>((sum, row) => sum + (asSized(row).size ?? 0), 0);
  return { events, next: told.next(query, events, size, toPosition(head ?? 0)) };
}

export async function readHead(connection: Connection, sql: Statements, told: Told): Promise<Position> {
  const head = toPosition(await connection.number(sql.head));
  return told.head(head, (position) => connection.number(sql.eventsAt, position));
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
  return (await connection.all(sql.frontierHolders)).map(decodeHolder);
}

/** The last row of a page: of the log as the page has seen it, and no event. */
function asHead(row: unknown): { readonly position: number | null } {
  return row as { readonly position: number | null };
}

function asSized(row: unknown): { readonly size: number | null } {
  return row as { readonly size: number | null };
}

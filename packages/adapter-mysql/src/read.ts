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
import { allOf, type Connection, list, type Value } from "./connection.ts";
import type { Statements } from "./statements.ts";

/**
 * First in one scan, without the data of events that have more than twice their share of the page. Few have, because core
 * sizes a page by what the last one's events weighed. Where one has, what fits is found first, which takes twice as long.
 */
export async function readAggregatePage(
  connection: Connection,
  sql: Statements,
  query: AggregateQuery,
): Promise<readonly StoredEvent[]> {
  const { ref, limit, bytes } = query;
  const { context, type, id } = ref;
  const from = Math.min(Math.max(query.from, 0), NO_VERSION);
  const to = Math.min(query.to, NO_VERSION);
  const [small, fitting] =
    query.direction === "forward"
      ? [sql.aggregateForward, sql.fittingForward]
      : [sql.aggregateBackward, sql.fittingBackward];
  const share = Math.ceil(bytes / limit);
  const rows = await connection.all(small, context, type, id, from, to, limit, 2 * share);
  if (rows.every(hasData)) return takeBytes(rows.map(decodeEvent), bytes);
  return (await connection.all(fitting, context, type, id, from, to, limit, bytes)).map(decodeEvent);
}

function hasData(row: unknown): boolean {
  return (row as { readonly data: string | null }).data !== null;
}

/** Up to the event that brings them to this many. */
function takeBytes(events: readonly StoredEvent[], bytes: number): readonly StoredEvent[] {
  let left = bytes;
  const last = events.findIndex(({ data, metadata }) => (left -= data.length + metadata.length) <= 0);
  return last === -1 ? events : events.slice(0, last + 1);
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

/** How readers learn how far they may read. */
export interface ReadParts {
  /** A connection of the store's own reader sessions. */
  readonly connection: Connection;
  readonly sql: Statements;
  /** Whether positions come from the counter. */
  readonly counts: boolean;
  readonly told: Told;
}

/** A page of the log, and how many registrations there are. */
export interface RegisteredPage extends LogPage {
  readonly registrations: number;
}

export async function readLogPage(
  { connection, sql, counts, told }: ReadParts,
  query: LogQuery,
): Promise<RegisteredPage> {
  const { after, limit, bytes } = query;
  const statement = counts ? sql.countedLogPage : sql.logPage;
  const results = await connection.results(statement, after, limit, bytes, scopeOf(query));
  const rows = results.at(-1) ?? [];
  const { head, registrations } = asHead(results.at(-2)?.[0]);
  const events = rows.map(decodeEvent);
  const size = rows.reduce<number>((sum, row) => sum + asSized(row).size, 0);
  const next = told.next(query, events, size, toPosition(head));
  return { events, next, registrations: registrations ?? 0 };
}

function scopeOf({ scope }: LogQuery): Value {
  const { segment, segments, contexts, aggregateTypes, eventTypes } = scope;
  return allOf([
    ...(segments === 1 ? [] : [{ column: `bucket & ${segments - 1}`, value: segment }]),
    ...(contexts.length === 0 ? [] : [{ column: "context", value: list(contexts) }]),
    ...(aggregateTypes.length === 0 ? [] : [{ column: "aggregate_type", value: list(aggregateTypes) }]),
    ...(eventTypes.length === 0 ? [] : [{ column: "event_type", value: list(eventTypes) }]),
  ]);
}

export async function readHead({ connection, sql, counts, told }: ReadParts): Promise<Position> {
  const results = await connection.results(counts ? sql.countedHead : sql.head);
  const head = toPosition(asHead(results.at(-1)?.[0]).head);
  return told.head(head, (position) => connection.number(sql.eventsAt, position));
}

export async function readPositionBefore({ connection, sql, counts }: ReadParts, time: number): Promise<Position> {
  const results = await connection.results(counts ? sql.countedPositionBefore : sql.positionBefore, time);
  return toPosition(asPosition(results.at(-1)?.[0]).position);
}

export async function readFrontierHolders({
  connection,
  sql,
  counts,
}: ReadParts): Promise<readonly FrontierHolderRow[]> {
  if (counts) return [];
  const results = await connection.results(sql.frontierHolders);
  return (results.at(-1) ?? []).map(decodeHolder);
}

function asPosition(row: unknown): { readonly position: number } {
  return row as { readonly position: number };
}

interface HeadColumns {
  readonly head: number;
  readonly registrations?: number | null;
}

function asHead(row: unknown): HeadColumns {
  return row as HeadColumns;
}

function asSized(row: unknown): { readonly size: number } {
  return row as { readonly size: number };
}

import { type Position, toPosition } from "@tidemark/core";
import type { AggregateQuery, EventIdQuery, LogPage, LogQuery, StoredEvent } from "@tidemark/core/spi";
import { decodeEvent, isWhole } from "@tidemark/sql-kit";
import type { Connection } from "./connection.ts";
import type { Statements } from "./statements.ts";

export function readAggregatePage(
  connection: Connection,
  sql: Statements,
  query: AggregateQuery,
): readonly StoredEvent[] {
  const { ref, from, to, limit } = query;
  const statement = query.direction === "forward" ? sql.aggregateForward : sql.aggregateBackward;
  return takeBytes(connection.iterate(statement, ref.context, ref.type, ref.id, from, to, limit), query.bytes);
}

export function readEventIdPage(connection: Connection, sql: Statements, query: EventIdQuery): readonly StoredEvent[] {
  const { ref, after, until = null, from = null, to = null, limit } = query;
  return takeBytes(connection.iterate(sql.eventsById, { ...ref, after, until, from, to, limit }), query.bytes);
}

/** Page and head are of one moment: the caller has begun a transaction. */
export function readLogPage(connection: Connection, sql: Statements, query: LogQuery): LogPage {
  const rows = isWhole(query.scope)
    ? connection.iterate(sql.logPage, query.after, query.limit)
    : connection.iterate(sql.scopedLogPage, scopedParameters(query));
  const events: StoredEvent[] = [];
  let bytes = 0;
  for (const row of rows) {
    const event = decodeEvent(row);
    events.push(event);
    bytes += event.data.length + event.metadata.length;
    // Full: there may be more, so the reader goes on from here.
    if (events.length === query.limit || bytes >= query.bytes) return { events, next: event.position };
  }
  return { events, next: readHead(connection, sql) };
}

/** One writer at a time and positions in the order of commits: the last committed event is the tidemark. */
export function readHead(connection: Connection, sql: Statements): Position {
  return toPosition(connection.number(sql.head));
}

export function readPositionBefore(connection: Connection, sql: Statements, time: number): Position {
  return toPosition(connection.number(sql.positionBefore, time));
}

/** Ends with the event that brings them to this many. The rows behind it are not read. */
function takeBytes(rows: Iterable<unknown>, bytes: number): readonly StoredEvent[] {
  const events: StoredEvent[] = [];
  let left = bytes;
  for (const row of rows) {
    const event = decodeEvent(row);
    events.push(event);
    left -= event.data.length + event.metadata.length;
    if (left <= 0) break;
  }
  return events;
}

function scopedParameters({ after, limit, scope }: LogQuery): object {
  return {
    after,
    limit,
    segment: scope.segment,
    segments: scope.segments,
    contexts: JSON.stringify(scope.contexts),
    aggregateTypes: JSON.stringify(scope.aggregateTypes),
    eventTypes: JSON.stringify(scope.eventTypes),
  };
}

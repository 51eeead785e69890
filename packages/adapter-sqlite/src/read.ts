import { type Position, toPosition } from "@tidemark/core";
import type { AggregateQuery, LogPage, LogQuery, LogScope, StoredEvent } from "@tidemark/core/spi";
import type { Connection } from "./connection.ts";
import type { Statements } from "./statements.ts";

export function readAggregatePage(
  connection: Connection,
  sql: Statements,
  query: AggregateQuery,
): readonly StoredEvent[] {
  const { ref, from, to, limit } = query;
  const statement = query.direction === "forward" ? sql.aggregateForward : sql.aggregateBackward;
  return connection.all(statement, ref.context, ref.type, ref.id, from, to, limit).map(decodeEvent);
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

function isWhole(scope: LogScope): boolean {
  const { contexts, aggregateTypes, eventTypes, segments } = scope;
  return contexts.length === 0 && aggregateTypes.length === 0 && eventTypes.length === 0 && segments === 1;
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

interface EventColumns {
  readonly position: number;
  readonly context: string;
  readonly aggregate_type: string;
  readonly aggregate_id: string;
  readonly version: number;
  readonly bucket: number;
  readonly event_id: string;
  readonly event_type: string;
  readonly data: string;
  readonly metadata: string;
  readonly occurred_on: number;
  readonly recorded_at: number;
}

function decodeEvent(row: unknown): StoredEvent {
  const columns = row as EventColumns;
  return {
    id: columns.event_id,
    type: columns.event_type,
    data: columns.data,
    metadata: columns.metadata,
    occurredOn: columns.occurred_on,
    position: toPosition(columns.position),
    ref: { context: columns.context, type: columns.aggregate_type, id: columns.aggregate_id },
    version: columns.version,
    bucket: columns.bucket,
    recordedAt: columns.recorded_at,
  };
}

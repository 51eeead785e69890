import { type Position, segmentOf, START } from "@tidemark/core";
import {
  aggregateKey,
  type AggregateQuery,
  compareBytes,
  type EventIdQuery,
  type FrontierHolderRow,
  type LogPage,
  type LogQuery,
  type LogScope,
  type Operation,
  type StoredEvent,
  throwIfAborted,
} from "@tidemark/core/spi";
import type { Database } from "./database.ts";
import type { Transaction } from "./memory-transaction.ts";

export async function readAggregatePage(
  database: Database,
  query: AggregateQuery,
  op: Operation,
  transaction?: Transaction,
): Promise<readonly StoredEvent[]> {
  throwIfAborted(op.signal);
  transaction?.check();
  const { ref, limit } = query;
  const first = Math.max(query.from, 1);
  const last = Math.min(query.to, database.heads.get(aggregateKey(ref), transaction) ?? 0);
  if (first > last) return [];
  const page =
    query.direction === "forward"
      ? database.log.versions(ref, first, Math.min(last, first + limit - 1), transaction)
      : database.log.versions(ref, Math.max(first, last - limit + 1), last, transaction).toReversed();
  const events: StoredEvent[] = [];
  let bytes = 0;
  for (const event of page) {
    if (bytes >= query.bytes) break;
    events.push(copyEvent(event));
    bytes += event.data.length + event.metadata.length;
  }
  return events;
}

export async function readEventIdPage(
  database: Database,
  query: EventIdQuery,
  op: Operation,
  transaction?: Transaction,
): Promise<readonly StoredEvent[]> {
  throwIfAborted(op.signal);
  transaction?.check();
  const { ref, after, until, from = -Infinity, to = Infinity, limit } = query;
  const events: StoredEvent[] = [];
  let bytes = 0;
  for (const event of database.log.byId(ref, after, transaction)) {
    if (events.length === limit || bytes >= query.bytes) break;
    if (until !== undefined && compareBytes(event.id, until) > 0) break;
    if (event.occurredOn < from || event.occurredOn > to) continue;
    events.push(copyEvent(event));
    bytes += event.data.length + event.metadata.length;
  }
  return events;
}

export async function readLogPage(database: Database, query: LogQuery, op: Operation): Promise<LogPage> {
  throwIfAborted(op.signal);
  const { log } = database;
  const matches = matcher(query.scope);
  const events: StoredEvent[] = [];
  let bytes = 0;
  for (const event of log.visible(query.after)) {
    if (!matches(event)) continue;
    events.push(copyEvent(event));
    bytes += event.data.length + event.metadata.length;
    // Full: there may be more, so the reader goes on from here.
    if (events.length === query.limit || bytes >= query.bytes) return { events, next: event.position };
  }
  return { events, next: log.head() };
}

export async function readHead(database: Database, op: Operation): Promise<Position> {
  throwIfAborted(op.signal);
  return database.log.head();
}

export async function readPositionBefore(database: Database, time: number, op: Operation): Promise<Position> {
  throwIfAborted(op.signal);
  let before = START;
  for (const event of database.log.visible(START)) {
    if (event.occurredOn >= time) return before;
    before = event.position;
  }
  return before;
}

/** The order of registering is that of positions. */
export async function readFrontierHolders(database: Database, op: Operation): Promise<readonly FrontierHolderRow[]> {
  throwIfAborted(op.signal);
  return database.log.holders();
}

function matcher(scope: LogScope): (event: StoredEvent) => boolean {
  const inContext = oneOf(scope.contexts);
  const inAggregateType = oneOf(scope.aggregateTypes);
  const inEventType = oneOf(scope.eventTypes);
  return ({ ref, type, bucket }) =>
    inEventType(type) &&
    inAggregateType(ref.type) &&
    inContext(ref.context) &&
    segmentOf(bucket, scope.segments) === scope.segment;
}

/** An empty list filters nothing. */
function oneOf(values: readonly string[]): (value: string) => boolean {
  const set = new Set(values);
  return (value) => set.size === 0 || set.has(value);
}

/** Other databases send rows; whoever reads here gets its own as well, and cannot change what is stored. */
function copyEvent(event: StoredEvent): StoredEvent {
  return { ...event, ref: { ...event.ref } };
}

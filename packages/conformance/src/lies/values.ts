import { type AppendRequest, isTidemarkError, type RecordedEvent, type Store } from "@tidemark/core";
import type { Adapter, EventRow } from "@tidemark/core/spi";
import { turn } from "../expect.ts";
import { override } from "../law.ts";
import { onEvents, onRefs, onRequests, onRows } from "./append.ts";

/** A real adapter that stores the JSON text of data in another form. */
export function onData<Tx>(real: Adapter<Tx>, change: (data: string) => string): Adapter<Tx> {
  return onEvents(real, (event) => ({ ...event, data: change(event.data) }));
}

/** A real adapter that stores each value inside data as something else. */
export function onValues<Tx>(real: Adapter<Tx>, change: (value: unknown) => unknown): Adapter<Tx> {
  return onData(real, (data) => JSON.stringify(JSON.parse(data, (_key, value: unknown) => change(value))));
}

/** A real adapter that takes one text for another in whatever names an aggregate or an event. */
export function onNames<Tx>(real: Adapter<Tx>, change: (name: string) => string): Adapter<Tx> {
  const aggregates = onRefs(real, (ref) => ({
    context: change(ref.context),
    type: change(ref.type),
    id: change(ref.id),
  }));
  return onEvents(aggregates, (event) => ({ ...event, id: change(event.id), type: change(event.type) }));
}

/** Copies data the way that many a program does: what is called `__proto__` is lost. */
export function losesProto<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  return onValues(real, (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).filter(([name]) => name !== "__proto__"));
  });
}

/** Stores what JSON makes of it, whatever that is. */
export function dropsWhatJsonCannotHold<Tx>(real: Store<Tx>): Store<Tx> {
  const plain = (data: unknown): unknown =>
    JSON.parse(
      JSON.stringify(data, (_name, value: unknown) => (typeof value === "bigint" ? Number(value) : value)) ?? "null",
    );
  return onRequests(real, (request) => ({
    ...request,
    events: request.events.map((event) => ({ ...event, data: plain(event.data) })),
  }));
}

/** Looks at an event some time after it was handed over. */
export function encodesLate<Tx>(real: Store<Tx>): Store<Tx> {
  return override(real, () => ({
    append: async (request, op) => {
      await turn();
      return real.append(request, op);
    },
  }));
}

/** Decodes an event once, for all who read it. */
export function sharesDecodedEvents<Tx>(real: Store<Tx>): Store<Tx> {
  const decoded = new Map<bigint, RecordedEvent>();
  return override(real, () => ({
    readAggregate: (aggregate, options) =>
      mapped(real.readAggregate(aggregate, options), (event) => {
        const known = decoded.get(event.position) ?? event;
        decoded.set(event.position, known);
        return known;
      }),
  }));
}

/** Hands out what was stored, without asking the serializer. */
export function passesSerializerBy<Tx>(real: Store<Tx>): Store<Tx> {
  return override(real, () => ({
    readAggregate: (aggregate, options) =>
      mapped(real.readAggregate(aggregate, options), (event) => ({ ...event, data: Object.assign({}, event.data) })),
  }));
}

/** Leaves out events that it cannot decode. */
export function skipsTheUnreadable<Tx>(real: Store<Tx>): Store<Tx> {
  return override(real, () => ({
    readAll: async (options) => {
      try {
        return await real.readAll(options);
      } catch (error) {
        if (!isTidemarkError(error, "UNREADABLE")) throw error;
        return { events: [], next: await real.head() };
      }
    },
  }));
}

async function* mapped(
  events: AsyncIterable<RecordedEvent>,
  change: (event: RecordedEvent) => RecordedEvent,
): AsyncGenerator<RecordedEvent, void, undefined> {
  for await (const event of events) yield change(event);
}

/** Keeps times as the clock on the wall shows them, as a column without time zone does. */
export function keepsLocalTime<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  const offset = (time: number): number => new Date(time).getTimezoneOffset() * 60_000;
  const writing = onEvents(real, (event) => ({ ...event, occurredOn: event.occurredOn - offset(event.occurredOn) }));
  return onRows(writing, (row) => ({
    ...row,
    occurredOn: row.occurredOn + offset(row.occurredOn),
    recordedAt: row.recordedAt + offset(row.recordedAt),
  }));
}

/** Keeps of an event's metadata what it has columns for. */
export function keepsKnownMetadata<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  return onEvents(real, (event: EventRow) => ({
    ...event,
    metadata: JSON.stringify(JSON.parse(event.metadata), ["correlationId", "causationId", "createdBy"]),
  }));
}

/** Leaves out of names what databases do not like. */
export function cleansNames<Tx>(real: Store<Tx>): Store<Tx> {
  const clean = (name: string): string => Buffer.from(name.replaceAll("\0", "")).toString();
  return onRequests(real, ({ aggregate, events, ...rest }): AppendRequest => ({
    ...rest,
    aggregate: { context: clean(aggregate.context ?? "default"), type: clean(aggregate.type), id: clean(aggregate.id) },
    events: events.map((event) => ({
      ...event,
      type: clean(event.type),
      id: event.id === undefined ? undefined : clean(event.id),
    })),
  }));
}

import type { StoredEvent } from "../adapter/append.ts";
import type { Operation } from "../adapter/operation.ts";
import type { EventIdQuery } from "../adapter/reads.ts";
import type { EventInput, RecordedEvent } from "../event.ts";
import { decodeEvent, FIRST_PAGE, isShort, nextSize, PAGE_BYTES } from "../store/read-aggregate.ts";
import { checkText, checkTime, got, invalid, isArray } from "../store/requests.ts";
import { throwIfAborted } from "../store/timing.ts";
import { type AggregateRef, DEFAULT_CONTEXT } from "../values/aggregate.ts";
import type { Position } from "../values/position.ts";
import type { VectorInput } from "../values/vector-clock.ts";
import { type ActorAccess, checkActorId, checkActorType, checkOptions, packKey } from "./access.ts";
import { type ActorEvent, decodePack, encodePack, type PackInput } from "./pack.ts";
import { checkVector } from "./snapshot.ts";

export interface EventStoreOptions {
  /**
   * The context of the aggregates that actors are in the log. It says only where in the log their events are: snapshots,
   * packs and ids know no context, so give the actors of another context an actor type of their own. Default `"default"`.
   */
  readonly context?: string | undefined;
}

/** Event stores by actor type. */
export interface EventStores {
  /**
   * The event store of a type. Without I/O; call it as often as you like: all that are created of one type are views of
   * the same packs, and those of one context of the same events as well. Errors: INVALID_ARGUMENT, LIMIT_EXCEEDED.
   */
  create(actorType: string, options?: EventStoreOptions): Promise<EventStore>;
}

/**
 * The events of the actors of one type. They are in the log that consumers read: an actor is an aggregate, its type the
 * aggregate's type, its system id the aggregate's id, which `identities.resolve` of the actor store gives.
 *
 * Events come ascending by id, in bytes, whatever the order in which they were stored. Errors, of all methods:
 * INVALID_ARGUMENT, LIMIT_EXCEEDED, UNREADABLE, and those of every call.
 */
export interface EventStore {
  readonly actorType: string;
  /**
   * All events of the actor, or those after the one with the id `lastEventId`, which need not be there (`""`: all). None
   * for an unknown actor. Of actors with long histories rather take {@link getEventStreamFor}.
   */
  getEventsFor(id: string, lastEventId?: string, op?: Operation): Promise<readonly RecordedEvent[]>;
  /** All events of the actor that occurred at `date` or later, by their writers' clocks. */
  getEventsSince(id: string, date: Date, op?: Operation): Promise<readonly RecordedEvent[]>;
  /**
   * The events that all of the options let through. Works with `for await`, and with `await` before it. Nothing is read
   * before the first event is asked for, and little more than is asked for, a few megabytes at once; no connection is held
   * between reads.
   */
  getEventStreamFor(id: string, options?: EventStreamOptions): EventStream;
  /**
   * Appends events to the log, all or nothing, and leaves out what the actor has already: storing again after an error is
   * safe. `[]` does nothing. Ids are the actor's own: another actor's events may have the same. Errors: KNOWN_EVENT_IDS
   * when the actor has one of the ids with other content, which is another type or other data, INVALID_EVENT, OVERLOADED,
   * WOULD_DEADLOCK.
   */
  storeEvents(id: string, events: readonly EventInput[], op?: Operation): Promise<StoredEvents>;
  /**
   * Keeps the events that made the snapshot with this vector from its ancestor: healing needs them where the log has not
   * all of them. And no others: what is in an ancestor's pack is taken to be in its state. Replaces the pack of before. Of
   * events with the same id the first is kept. Errors: INVALID_EVENT.
   */
  storeEventPack(id: string, vectorClock: VectorInput, events: readonly PackInput[], op?: Operation): Promise<void>;
  /** The events of the pack, ascending by id; undefined when there is none. */
  getEventPackFor(id: string, vectorClock: VectorInput, op?: Operation): Promise<readonly ActorEvent[] | undefined>;
}

export interface EventStreamOptions extends Operation {
  /** Events after the one with this id, which need not be there. Default, and `""`: from the first. */
  readonly sinceId?: string | undefined;
  /** Up to this id, inclusive. */
  readonly untilId?: string | undefined;
  /** Events that occurred at this date or later. */
  readonly since?: Date | undefined;
  /** Events that occurred at this date or before. */
  readonly until?: Date | undefined;
  /** Events for which it returns true. */
  readonly filter?: ((event: RecordedEvent) => boolean) | undefined;
}

/** Events, one after the other; from the beginning each time. Awaiting it gives the same, and reads nothing. */
export interface EventStream extends AsyncIterable<RecordedEvent>, PromiseLike<AsyncIterable<RecordedEvent>> {}

/** Where events are in the log, in the order in which they were given. */
export interface StoredEvents {
  readonly ids: readonly string[];
  readonly positions: readonly Position[];
}

export function createEventStores(access: ActorAccess): EventStores {
  return {
    create: async (actorType, options) => createEventStore(checkActorType(actorType), checkOptions(options), access),
  };
}

function createEventStore(type: string, options: EventStoreOptions = {}, access: ActorAccess): EventStore {
  const { packs, codec } = access;
  const context = checkText("context", "contextBytes", options.context ?? DEFAULT_CONTEXT);
  const aggregateOf = (id: string): AggregateRef => ({ context, type, id: checkActorId("id", id) });

  const read = (query: Range, op: Operation): AsyncGenerator<RecordedEvent, void, undefined> =>
    streamById(
      query,
      (page) => access.readEventsById(page, op),
      (row) => decodeEvent(row, codec),
      op.signal,
    );

  const stream = (id: string, given: EventStreamOptions): AsyncGenerator<RecordedEvent, void, undefined> =>
    filtered(read(toQuery(aggregateOf(id), checkOptions(given)), { signal: given.signal }), given.filter);

  return {
    actorType: type,

    getEventsFor: async (id, lastEventId, op = {}) =>
      collect(stream(id, { signal: op.signal, sinceId: checkEventId("lastEventId", lastEventId) })),
    getEventsSince: async (id, date, op = {}) => collect(stream(id, { signal: op.signal, since: toDate(date) })),
    getEventStreamFor: (id, given = {}) => awaitable(() => stream(id, given)),

    storeEvents: async (id, events, op = {}) => {
      access.enter();
      const aggregate = aggregateOf(id);
      if (!isArray(events)) throw invalid("events", `events is an array of events, ${got(events)}.`);
      if (events.length === 0)
        return access.read("eventStore.storeEvents", op, async () => ({ ids: [], positions: [] }));
      const { ids, positions } = await access.appendMissing({ aggregate, events }, op);
      return { ids, positions };
    },

    storeEventPack: async (id, vectorClock, events, op = {}) => {
      access.enter();
      const actor = { type, systemId: checkActorId("id", id) };
      const vector = checkVector("vectorClock", vectorClock);
      const text = encodePack(type, events, access);
      await access.write("eventStore.storeEventPack", [packKey(actor, vector)], () =>
        packs.store(actor, vector, text, op),
      );
    },

    getEventPackFor: async (id, vectorClock, op = {}) => {
      const actor = { type, systemId: checkActorId("id", id) };
      const vector = checkVector("vectorClock", vectorClock);
      const text = await access.read("eventStore.getEventPackFor", op, () => packs.get(actor, vector, op));
      return text === undefined ? undefined : decodePack(type, text, codec);
    },
  };
}

/** Which events, and not yet how many at once. */
type Range = Omit<EventIdQuery, "limit" | "bytes">;

function toQuery(ref: AggregateRef, { sinceId, untilId, since, until, filter }: EventStreamOptions): Range {
  if (filter !== undefined && typeof filter !== "function") {
    throw invalid("filter", `filter is a function that tells whether an event is wanted, ${got(filter)}.`);
  }
  return {
    ref,
    after: checkEventId("sinceId", sinceId),
    until: untilId === undefined ? undefined : checkText("untilId", "eventIdBytes", untilId),
    from: since === undefined ? undefined : checkTime("since", since),
    to: until === undefined ? undefined : checkTime("until", until),
  };
}

/** The id that events come after; `""` where they begin with the first. */
function checkEventId(argument: "lastEventId" | "sinceId", id = ""): string {
  return id === "" ? "" : checkText(argument, "eventIdBytes", id);
}

/** A date that was forgotten must not mean all events. */
function toDate(date: Date): Date {
  return new Date(checkTime("date", date));
}

/** Pages that grow, and are bounded by their bytes, as those of an aggregate's events by version. */
async function* streamById(
  query: Range,
  readPage: (query: EventIdQuery) => Promise<readonly StoredEvent[]>,
  decode: (row: StoredEvent) => RecordedEvent,
  signal: AbortSignal | undefined,
): AsyncGenerator<RecordedEvent, void, undefined> {
  let { after } = query;
  for (let limit = FIRST_PAGE; ;) {
    const page = await readPage({ ...query, after, limit, bytes: PAGE_BYTES });
    for (const row of page) {
      yield decode(row);
      throwIfAborted(signal);
    }
    const last = page.at(-1);
    if (last === undefined || isShort(page, limit)) return;
    after = last.id;
    limit = nextSize(page);
  }
}

async function* filtered(
  events: AsyncIterable<RecordedEvent>,
  filter: (event: RecordedEvent) => boolean = () => true,
): AsyncGenerator<RecordedEvent, void, undefined> {
  for await (const event of events) if (filter(event)) yield event;
}

async function collect(events: AsyncIterable<RecordedEvent>): Promise<readonly RecordedEvent[]> {
  const collected: RecordedEvent[] = [];
  for await (const event of events) collected.push(event);
  return collected;
}

/** What it resolves with is no promise itself: else awaiting it would never end. */
function awaitable(start: () => AsyncGenerator<RecordedEvent, void, undefined>): EventStream {
  const events: AsyncIterable<RecordedEvent> = { [Symbol.asyncIterator]: start };
  return {
    ...events,
    then: (onfulfilled, onrejected) => Promise.resolve(events).then(onfulfilled, onrejected),
  };
}

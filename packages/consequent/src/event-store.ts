import type { ActorEvent, ActorStore, EventStore, RecordedEvent, Snapshot } from "@tidemark/core";
import { isTidemarkError, TidemarkError } from "@tidemark/core";
import { compareBytes, got } from "@tidemark/core/spi";
import { checkEvents, type ConsequentEvent, toConsequent, toStored } from "./event.ts";
import { type OnFailure, telling } from "./failure.ts";
import { checkObject, invalid, knownId, toDate, toEventId, toId } from "./given.ts";
import { eventsOf, isMark } from "./healing.ts";

/**
 * The events of the actors of one type, in consequent's calling convention: `id` is an actor's system id; events come
 * ascending by id, in bytes. An id that is none (consequent asks so for actors that it does not know) has no events.
 */
export type ConsequentEventStore = {
  /** All events, or those after the one with the id `lastEventId`. */
  readonly getEventsFor: (id: unknown, lastEventId?: unknown) => Promise<ConsequentEvent[]>;
  /** Events that were created at `date` or later. */
  readonly getEventsSince: (id: unknown, date: unknown) => Promise<ConsequentEvent[]>;
  /** Works with `for await`, and with `await` before it. Reads nothing before the first event is asked for. */
  readonly getEventStreamFor: (id: unknown, options?: ConsequentStreamOptions) => ConsequentEventStream;
  /** All or nothing; what is there already is left out. */
  readonly storeEvents: (id: unknown, events: readonly ConsequentEvent[]) => Promise<void>;
  readonly storeEventPack: (id: unknown, vector: string, events: readonly ConsequentEvent[]) => Promise<void>;
  readonly getEventPackFor: (id: unknown, vector: string) => Promise<ConsequentEvent[] | undefined>;
};

/** Dates are Dates, ISO texts or milliseconds. Whatever else consequent puts in is ignored. */
export type ConsequentStreamOptions = {
  /** After the event with this id. */
  readonly sinceId?: unknown;
  /** Up to the event with this id, inclusive. */
  readonly untilId?: unknown;
  /** Created at this date or later. */
  readonly since?: unknown;
  /** Created at this date or before. */
  readonly until?: unknown;
  readonly filter?: ((event: ConsequentEvent) => boolean) | undefined;
};

/**
 * consequent's types call it an Iterable, and its code reads it as what it is: an AsyncIterable, which may be awaited
 * first. `for (… of stream)` is UNSUPPORTED: it cannot wait for the database.
 */
export interface ConsequentEventStream
  extends AsyncIterable<ConsequentEvent>, PromiseLike<AsyncIterable<ConsequentEvent>>, Iterable<ConsequentEvent> {}

export interface EventAccess {
  readonly actors: ActorStore;
  readonly events: EventStore;
  readonly onFailure?: OnFailure | undefined;
}

export function createEventStore({ actors, events, onFailure }: EventAccess): ConsequentEventStore {
  const type = events.actorType;
  const shape = (systemId: string, list: readonly (RecordedEvent | ActorEvent)[]): ConsequentEvent[] =>
    list.map((event) => toConsequent(event, type, systemId));

  async function* stream(id: unknown, options: ConsequentStreamOptions): AsyncGenerator<ConsequentEvent, void> {
    checkObject("options", options);
    const filter = checkFilter(options.filter);
    const systemId = knownId("id", id);
    if (systemId === undefined) return;
    const read = events.getEventStreamFor(systemId, {
      sinceId: toEventId("sinceId", options.sinceId),
      untilId: toEventId("untilId", options.untilId),
      since: toDate("since", options.since),
      until: toDate("until", options.until),
    });
    for await (const recorded of read) {
      const event = toConsequent(recorded, type, systemId);
      if (filter(event)) yield event;
    }
  }

  return {
    getEventsFor: async (id, lastEventId) => {
      const systemId = knownId("id", id);
      if (systemId === undefined) return [];
      if (isMark(lastEventId)) return shape(systemId, await eventsOf(lastEventId, systemId, actors, events));
      return shape(systemId, await events.getEventsFor(systemId, toEventId("lastEventId", lastEventId)));
    },

    getEventsSince: async (id, date) => {
      const since = toDate("date", date);
      if (since === undefined) {
        const what = "date is a Date, an ISO text or milliseconds since 1970";
        throw invalid("date", `${what}, ${got(date)}. For all events call getEventsFor.`);
      }
      const systemId = knownId("id", id);
      return systemId === undefined ? [] : shape(systemId, await events.getEventsSince(systemId, since));
    },

    getEventStreamFor: (id, options = {}) => awaitable(() => stream(id, options)),

    storeEvents: async (id, list) => {
      try {
        checkEvents(list);
        await events.storeEvents(toTarget(id, list), list.map(toStored));
      } catch (error) {
        throw isTidemarkError(error, "KNOWN_EVENT_IDS") ? sameIds(error) : error;
      }
    },

    storeEventPack: async (id, vector, list) => {
      const systemId = toId("id", id);
      await telling(onFailure, { call: "storeEventPack", actorType: type, id: systemId }, async () => {
        checkEvents(list);
        const snapshot = await actors.fetchByVector({ systemId }, vector);
        const pack = list.filter((event) => !cameLater(event, type, snapshot));
        await events.storeEventPack(systemId, vector, pack.map(toStored));
      });
    },

    getEventPackFor: async (id, vector) => {
      const systemId = knownId("id", id);
      const pack = systemId === undefined ? undefined : await events.getEventPackFor(systemId, vector);
      return systemId === undefined || pack === undefined ? undefined : shape(systemId, pack);
    },
  };
}

function checkFilter(filter: ConsequentStreamOptions["filter"]): (event: ConsequentEvent) => boolean {
  const wanted = filter ?? (() => true);
  if (typeof wanted === "function") return wanted;
  throw invalid("filter", `filter is a function that tells whether an event is wanted, ${got(wanted)}.`);
}

/**
 * An event for an actor of another type that does not say for which one arrives for the actor "undefined", where all such
 * events of all actors would pile up and nobody find them.
 */
function toTarget(id: unknown, events: readonly ConsequentEvent[]): string {
  const systemId = toId("id", id);
  if (systemId !== "undefined" || events.every(({ _actorId }) => _actorId === systemId)) return systemId;
  const types = [...new Set(events.map(({ type }) => type))].join(", ");
  throw invalid(
    "id",
    `Events of other actors (${types}) do not say of which one. Give each a field with the name of the actor's type that ` +
      "holds the actor's state, or at least its _id. Nothing was stored for it.",
  );
}

/**
 * When consequent has stored a snapshot it reads what has happened since, and puts that into the snapshot's pack as well.
 * Whoever heals would take it for a part of the snapshot's state.
 */
function cameLater(event: ConsequentEvent, type: string, snapshot: Snapshot | undefined): boolean {
  const { id, _actorType = type } = event;
  const last = snapshot?.lastEventId;
  return typeof id === "string" && last !== undefined && _actorType === type && compareBytes(id, last) > 0;
}

function sameIds(error: TidemarkError<"KNOWN_EVENT_IDS">): TidemarkError<"KNOWN_EVENT_IDS"> {
  const { aggregate, ids } = error.details;
  return new TidemarkError(
    "KNOWN_EVENT_IDS",
    `${aggregate.type} ${JSON.stringify(aggregate.id)} has other events with ${ids.length} of these ids. Nothing was written. ` +
      "consequent makes ids of the host's name and the process's number: have one instance of it in a process, and hosts " +
      "or containers with different names. Then handle the command again.",
    error.details,
    { cause: error },
  );
}

/** What it resolves with is no promise itself: else awaiting it would never end. */
function awaitable(start: () => AsyncGenerator<ConsequentEvent, void>): ConsequentEventStream {
  const events: AsyncIterable<ConsequentEvent> = { [Symbol.asyncIterator]: start };
  return {
    ...events,
    then: (onfulfilled, onrejected) => Promise.resolve(events).then(onfulfilled, onrejected),
    [Symbol.iterator]: () => {
      throw new TidemarkError("UNSUPPORTED", "Events come from a database: read them with for await.", {
        capability: "Iterable",
      });
    },
  };
}

import { createSqliteStore } from "@tidemark/adapter-sqlite";
import {
  type ActorEvent,
  type ActorStore,
  createFlakeGenerator,
  type EventStore,
  heal,
  type Healing,
  type Snapshot,
  vectorClock,
} from "@tidemark/core";
import { apply, EMPTY, type Ferry } from "./ferry.ts";

/** The actor that this example is about: its business id, and the system id that the events and snapshots belong to. */
export const FERRY = "F7";
export const SYSTEM_ID = "ferry-F7";

/** A node: an office that sells tickets for the ferry, with a store of its own. */
export interface Office {
  readonly name: string;
  readonly actors: ActorStore;
  readonly events: EventStore;
  /** Takes a command: decides by the present state, and stores what happened. */
  readonly book: (passenger: string) => Promise<"a seat" | "the waiting list">;
  readonly cancel: (passenger: string) => Promise<void>;
  /** The latest snapshot and the events since. */
  readonly current: () => Promise<Ferry>;
  /** Stores a snapshot of the present state, under this office's next vector. Returns that. */
  readonly snapshot: () => Promise<string>;
  /** Makes one of siblings, where there are any. */
  readonly heal: () => Promise<Healing | undefined>;
  /** Sees to it that all that happened here is in a snapshot. */
  readonly keep: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export async function openOffice(name: string, file: string, clock: () => number): Promise<Office> {
  const ids = createFlakeGenerator({ clock });
  const store = await createSqliteStore({ file, ids });
  const actors = await store.actorStores.create("ferry");
  const events = await store.eventStores.create("ferry");
  await actors.mapIds(SYSTEM_ID, FERRY);

  async function load(): Promise<Loaded> {
    const snapshot = await actors.fetch(FERRY);
    if (Array.isArray(snapshot)) throw new Error("There are siblings: heal them first.");
    return { snapshot, since: await events.getEventsFor(SYSTEM_ID, snapshot?.lastEventId) };
  }

  /** The snapshot and the pack of its events, together: the other office will need both. */
  async function save({ vector, ancestor, ferry, since, lastEventId }: NewSnapshot): Promise<void> {
    const state = { ...ferry, _ancestor: ancestor?.vector ?? "", _lastEventId: lastEventId };
    await store.transaction(async (_tx, inside) => {
      await (await inside.actorStores.create("ferry")).store(FERRY, ids(), vector, state);
      await (await inside.eventStores.create("ferry")).storeEventPack(SYSTEM_ID, vector, since);
    });
  }

  const current = async (): Promise<Ferry> => replay(await load());

  async function saveNext(loaded: Loaded): Promise<string> {
    const { snapshot: ancestor, since } = loaded;
    const vector = vectorClock.stringify(vectorClock.increment(ancestor?.vector ?? "", name));
    const lastEventId = since.at(-1)?.id ?? ancestor?.lastEventId;
    await save({ vector, ancestor, ferry: replay(loaded), since, lastEventId });
    return vector;
  }

  async function healSiblings(): Promise<Healing | undefined> {
    const siblings = await actors.fetch(FERRY);
    if (!Array.isArray(siblings)) return undefined;
    const healing = await heal({ actors, events }, siblings, { node: name });
    const { vector, ancestor, events: since, lastEventId } = healing;
    await save({ vector, ancestor, ferry: replay({ snapshot: ancestor, since }), since, lastEventId });
    return healing;
  }

  return {
    name,
    actors,
    events,
    current,

    book: async (passenger) => {
      await load(); // where there are siblings it refuses, before anything is stored
      await events.storeEvents(SYSTEM_ID, [{ type: "booked", data: passenger }]);
      return (await current()).seats.includes(passenger) ? "a seat" : "the waiting list";
    },

    cancel: async (passenger) => {
      await events.storeEvents(SYSTEM_ID, [{ type: "cancelled", data: passenger }]);
    },

    snapshot: async () => saveNext(await load()),
    heal: healSiblings,
    keep: async () => {
      await healSiblings();
      const loaded = await load();
      if (loaded.since.length > 0) await saveNext(loaded);
    },

    close: () => store.close(),
  };
}

interface Loaded {
  readonly snapshot: Snapshot | undefined;
  readonly since: readonly ActorEvent[];
}

interface NewSnapshot {
  readonly vector: string;
  readonly ancestor: Snapshot | undefined;
  readonly ferry: Ferry;
  /** The events that made it from its ancestor. */
  readonly since: readonly ActorEvent[];
  readonly lastEventId: string | undefined;
}

function replay({ snapshot, since }: Loaded): Ferry {
  return since.reduce(apply, ferryOf(snapshot));
}

/** A snapshot's state without its system fields. */
function ferryOf(snapshot: Snapshot | undefined): Ferry {
  if (snapshot === undefined) return EMPTY;
  const { seats, waiting } = snapshot.state;
  return { seats: toNames(seats), waiting: toNames(waiting) };
}

function toNames(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

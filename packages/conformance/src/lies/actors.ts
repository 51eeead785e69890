import { AsyncResource } from "node:async_hooks";
import {
  type ActorInput,
  type ActorStore,
  type ActorStores,
  type Anomaly,
  type EventStore,
  type EventStores,
  isTidemarkError,
  type Store,
  type StoredEvents,
  type StoreInTransaction,
} from "@tidemark/core";
import type {
  ActorRef,
  Adapter,
  PackPort,
  SnapshotChange,
  SnapshotPort,
  SnapshotRow,
  SnapshotState,
} from "@tidemark/core/spi";
import { turn } from "../expect.ts";
import { override, type Tooth } from "../law.ts";

/** Broken stores that laws about actors are held against. */

/** An adapter that keeps snapshots in another way, inside of transactions and outside. */
function changeSnapshots<Tx>(real: Adapter<Tx>, change: (port: SnapshotPort) => Partial<SnapshotPort>): Adapter<Tx> {
  return override(real, () => ({
    snapshots: override(real.snapshots, change),
    within: (tx) => override(real.within(tx), (port) => ({ snapshots: override(port.snapshots, change) })),
  }));
}

function changePacks<Tx>(real: Adapter<Tx>, change: (port: PackPort) => Partial<PackPort>): Adapter<Tx> {
  return override(real, () => ({
    packs: override(real.packs, change),
    within: (tx) => override(real.within(tx), (port) => ({ packs: override(port.packs, change) })),
  }));
}

export function snapshotsThat(lie: string, change: (port: SnapshotPort) => Partial<SnapshotPort>): Tooth {
  return { lie, adapter: (real) => changeSnapshots(real, change) };
}

export function packsThat(lie: string, change: (port: PackPort) => Partial<PackPort>): Tooth {
  return { lie, adapter: (real) => changePacks(real, change) };
}

/** Writes something else than what was decided. */
export function writesSnapshots(
  lie: string,
  change: (decided: SnapshotChange, state: SnapshotState) => SnapshotChange | undefined,
): Tooth {
  return snapshotsThat(lie, (port) => ({
    store: (actor, vector, decide, op) =>
      port.store(
        actor,
        vector,
        (state) => {
          const decided = decide(state);
          return decided === undefined ? undefined : change(decided, state);
        },
        op,
      ),
  }));
}

/** Writes rows in which something is different. */
export function writesRows(lie: string, change: (row: SnapshotRow) => Partial<SnapshotRow>): Tooth {
  return writesSnapshots(lie, (decided) => ({ ...decided, row: { ...decided.row, ...change(decided.row) } }));
}

/** Decides by something else than what there is. */
export function decidesBy(lie: string, see: (state: SnapshotState) => SnapshotState): Tooth {
  return snapshotsThat(lie, (port) => ({
    store: (actor, vector, decide, op) => port.store(actor, vector, (state) => decide(see(state)), op),
  }));
}

/** What reading and writing without a lock in between comes to. */
export const decidesBeforeItWaits: Tooth = snapshotsThat("decides by what there was before it waited", (port) => ({
  store: async (actor, vector, decide, op) => {
    const heads = (await port.heads(actor, op)).map((head) => head.vector);
    const stored = await port.get(actor, vector, op);
    await port.store(actor, vector, () => decide({ stored, heads }), op);
  },
}));

/** What a buffer in memory comes to. */
export const storesLater: Tooth = snapshotsThat("stores snapshots a while after it has said so", (port) => ({
  store: async (...args) => {
    // The store may be closed by then.
    const write = async (): Promise<void> => {
      await turn(500);
      await port.store(...args);
    };
    write().catch(() => undefined);
  },
}));

/** What not listening to errors comes to. */
export const saysLostIsStored: Tooth = snapshotsThat("says of a snapshot that was lost that it is stored", (port) => ({
  store: (actor, vector, decide, op) =>
    port.store(actor, vector, decide, op).catch((error: unknown) => {
      if (!isTidemarkError(error, "UNAVAILABLE")) throw error;
    }),
}));

/** Keeps the records of one actor, or one vector, under the name of another. */
export function mistakes(
  lie: string,
  change: { readonly actor?: (actor: ActorRef) => ActorRef; readonly vector?: (vector: string) => string },
): Tooth {
  const { actor: ofActor = (actor) => actor, vector: ofVector = (vector) => vector } = change;
  return {
    lie,
    adapter: (real) => {
      const snapshots = changeSnapshots(real, (port) => ({
        heads: (actor, op) => port.heads(ofActor(actor), op),
        get: (actor, vector, op) => port.get(ofActor(actor), ofVector(vector), op),
        store: (actor, vector, decide, op) =>
          port.store(
            ofActor(actor),
            ofVector(vector),
            (state) => {
              const decided = decide(state);
              return decided && { ...decided, row: { ...decided.row, vector: ofVector(decided.row.vector) } };
            },
            op,
          ),
      }));
      return changePacks(snapshots, (port) => ({
        store: (actor, vector, events, op) => port.store(ofActor(actor), ofVector(vector), events, op),
        get: (actor, vector, op) => port.get(ofActor(actor), ofVector(vector), op),
      }));
    },
  };
}

type ChangeActors = (actors: ActorStore) => Partial<ActorStore>;
type ChangeEvents = (events: EventStore) => Partial<EventStore>;

function changedActors(stores: ActorStores, change: ChangeActors): ActorStores {
  return { create: async (type, options) => override(await stores.create(type, options), change) };
}

function changedEvents(stores: EventStores, change: ChangeEvents): EventStores {
  return { create: async (type, options) => override(await stores.create(type, options), change) };
}

/** A store whose transactions are lent in another form. */
function changeInside<Tx>(real: Store<Tx>, inside: (given: StoreInTransaction) => StoreInTransaction): Store<Tx> {
  return override(real, () => ({
    within: (tx) => inside(real.within(tx)),
    transaction: (work, options) => real.transaction((tx, given) => work(tx, inside(given)), options),
  }));
}

/** A store whose actor stores do something in another way. */
export function actorsThat(lie: string, change: ChangeActors): Tooth {
  return {
    lie,
    store: (real) => {
      const lent = changeInside(real, (inside) =>
        override(inside, () => ({ actorStores: changedActors(inside.actorStores, change) })),
      );
      return override(lent, () => ({ actorStores: changedActors(real.actorStores, change) }));
    },
  };
}

/** A store whose event stores do something in another way. */
export function eventStoresThat(lie: string, change: ChangeEvents): Tooth {
  return {
    lie,
    store: (real) => {
      const lent = changeInside(real, (inside) =>
        override(inside, () => ({ eventStores: changedEvents(inside.eventStores, change) })),
      );
      return override(lent, () => ({ eventStores: changedEvents(real.eventStores, change) }));
    },
  };
}

/** Knows of no other way to name an actor than by a text. */
export const looksSystemIdsUp: Tooth = actorsThat("takes a system id for somebody's business id", (actors) => {
  const textOf = (actor: ActorInput): string => (typeof actor === "string" ? actor : actor.systemId);
  return {
    fetch: (actor, op) => actors.fetch(textOf(actor), op),
    fetchByVector: (actor, ...rest) => actors.fetchByVector(textOf(actor), ...rest),
    fetchByLastEventId: (actor, ...rest) => actors.fetchByLastEventId(textOf(actor), ...rest),
    fetchByLastEventDate: (actor, ...rest) => actors.fetchByLastEventDate(textOf(actor), ...rest),
    store: (actor, ...rest) => actors.store(textOf(actor), ...rest),
    findAncestor: (actor, ...rest) => actors.findAncestor(textOf(actor), ...rest),
    chain: (actor, ...rest) => actors.chain(textOf(actor), ...rest),
    links: (actor, op) => actors.links(textOf(actor), op),
    inspect: (actor, op) => actors.inspect(textOf(actor), op),
  };
});

/** Of a Map, or of an object with private fields, that is nothing. */
export const comparesWhatJsonShows: Tooth = actorsThat("compares what JSON shows of states", (actors) => ({
  store: async (actor, snapshotId, vector, state, op) => {
    try {
      await actors.store(actor, snapshotId, vector, state, op);
    } catch (error) {
      if (!isTidemarkError(error, "SNAPSHOT_CONFLICT")) throw error;
      const stored = await actors.fetchByVector(actor, vector, op);
      if (JSON.stringify(stored?.state) !== JSON.stringify(state)) throw error;
    }
  },
}));

/** Throws what it should only report. */
export function throwsOn(kind: Anomaly["kind"], lie: string): Tooth {
  return actorsThat(lie, (actors) => ({
    findAncestor: async (actorId, siblings, ancestry, op) => {
      const { anomalies } = await actors.inspect(actorId, op);
      const found = anomalies.find((anomaly) => anomaly.kind === kind);
      if (found !== undefined) throw new RangeError(`There is an anomaly: ${kind}.`);
      return actors.findAncestor(actorId, siblings, ancestry, op);
    },
  }));
}

/** Remembers what was visited once, for all chains. */
export const sharesWhatItVisited: Tooth = actorsThat("takes chains that meet for a circle", (actors) => ({
  findAncestor: async (actorId, siblings, _ancestry, op) => {
    const visited = new Set<string>();
    const chains: ReadonlySet<string>[] = [];
    for (const { vector } of siblings) {
      const own = new Set<string>();
      for await (const link of actors.chain(actorId, vector, op)) {
        if (visited.has(link.vector)) break;
        visited.add(link.vector);
        own.add(link.vector);
      }
      chains.push(own);
    }
    const shared = [...(chains[0] ?? [])].find((vector) => chains.every((chain) => chain.has(vector)));
    return shared === undefined ? undefined : actors.fetchByVector(actorId, shared, op);
  },
}));

/**
 * A store that does something else instead of writing, in its transactions, what is kept of actors. `again` writes the same
 * through another store.
 */
function writesInside<Tx>(
  real: Store<Tx>,
  instead: (write: () => Promise<void>, again: (on: StoreInTransaction) => Promise<unknown>) => Promise<void>,
): Store<Tx> {
  const actors = (stores: ActorStores): ActorStores =>
    changedActors(stores, (own) => {
      const other = (on: StoreInTransaction): Promise<ActorStore> => on.actorStores.create(own.actorType);
      return {
        store: (...args) =>
          instead(
            () => own.store(...args),
            async (on) => (await other(on)).store(...args),
          ),
        mapIds: (...args) =>
          instead(
            () => own.mapIds(...args),
            async (on) => (await other(on)).mapIds(...args),
          ),
      };
    });
  const events = (stores: EventStores): EventStores =>
    changedEvents(stores, (own) => {
      const other = (on: StoreInTransaction): Promise<EventStore> => on.eventStores.create(own.actorType);
      return {
        storeEventPack: (...args) =>
          instead(
            () => own.storeEventPack(...args),
            async (on) => (await other(on)).storeEventPack(...args),
          ),
        storeEvents: async (...args) => {
          let stored: StoredEvents = { ids: [], positions: [] };
          await instead(
            async () => void (stored = await own.storeEvents(...args)),
            async (on) => (await other(on)).storeEvents(...args),
          );
          return stored;
        },
      };
    });
  return changeInside(real, (inside) =>
    override(inside, () => ({ actorStores: actors(inside.actorStores), eventStores: events(inside.eventStores) })),
  );
}

export const onlySaysWritten: Tooth = {
  lie: "only says that it has written in a transaction",
  store: (real) => writesInside(real, async () => undefined),
};

export const writesBeside: Tooth = {
  lie: "writes beside the transaction",
  store: (real) => writesInside(real, async (_write, again) => void (await again(real))),
};

export const writesWhenOver: Tooth = {
  lie: "writes on its own when the transaction is over",
  store: (real) =>
    writesInside(real, async (write, again) => {
      try {
        await write();
      } catch (error) {
        if (!isTidemarkError(error, "TRANSACTION_ENDED")) throw error;
        await again(real);
      }
    }),
};

export const writesAtTheEnd: Tooth = {
  lie: "puts what is written in a transaction off to its end",
  store: (real) => {
    const put: (() => Promise<void>)[] = [];
    const writing = writesInside(real, async (write) => void put.push(write));
    return override(writing, () => ({
      transaction: (work, options) =>
        writing.transaction(async (tx, inside) => {
          const result = await work(tx, inside);
          for (const write of put.splice(0)) await write();
          return result;
        }, options),
    }));
  },
};

/** Whatever it is called inside of, it takes for nothing. */
export const writesAsIfFromOutside: Tooth = {
  lie: "does not notice that it is called inside a transaction",
  store: (real) => {
    // Bound to where the store was opened.
    const outside = AsyncResource.bind((work: () => Promise<unknown>) => work());
    const actors = changedActors(real.actorStores, (own) => ({
      store: async (...args) => void (await outside(() => own.store(...args))),
      mapIds: async (...args) => void (await outside(() => own.mapIds(...args))),
    }));
    const events = changedEvents(real.eventStores, (own) => ({
      storeEventPack: async (...args) => void (await outside(() => own.storeEventPack(...args))),
      storeEvents: async (...args) => {
        let stored: StoredEvents = { ids: [], positions: [] };
        await outside(async () => void (stored = await own.storeEvents(...args)));
        return stored;
      },
    }));
    return override(real, () => ({ actorStores: actors, eventStores: events }));
  },
};

import type {
  ActorInput,
  ActorState,
  ActorStore,
  ActorStoreOptions,
  Anomaly,
  EventInput,
  EventStore,
  Snapshot,
  Store,
  StoreInTransaction,
} from "@tidemark/core";
import type { Adapter, SnapshotRow, StoredEvent } from "@tidemark/core/spi";
import { account } from "./events.ts";
import { assert, collect, turn } from "./expect.ts";
import { override, type Site } from "./law.ts";

/** The type of the actors of most laws. */
export const ACCOUNT = "account";
/** The actor of most laws. */
export const ALICE = "alice";

export function actorsOf(
  store: Pick<StoreInTransaction, "actorStores">,
  type: string = ACCOUNT,
  options: ActorStoreOptions = {},
): Promise<ActorStore> {
  return store.actorStores.create(type, options);
}

export function eventsOf(store: Pick<StoreInTransaction, "eventStores">, type: string = ACCOUNT): Promise<EventStore> {
  return store.eventStores.create(type);
}

/** Stores a snapshot whose state says where it is, and what else is given. */
export async function save(
  actors: ActorStore,
  vector: string,
  state: ActorState = {},
  actorId: string = ALICE,
): Promise<void> {
  await actors.store(actorId, "snapshot", vector, { at: vector, ...state });
}

/** Stores a history: vectors, each with what it was made from. */
export async function saveAll(
  actors: ActorStore,
  history: Readonly<Record<string, string>>,
  actorId: string = ALICE,
): Promise<void> {
  for (const [vector, ancestor] of Object.entries(history)) {
    await save(actors, vector, { _ancestor: ancestor }, actorId);
  }
}

/** What `fetch` gives, as vectors: several in an array, exactly one as itself. */
export async function latest(
  actors: ActorStore,
  actor: ActorInput = ALICE,
): Promise<string | readonly string[] | undefined> {
  const found = await actors.fetch(actor);
  return Array.isArray(found) ? found.map(({ vector }) => vector) : found?.vector;
}

/** What `fetch` gives, as an array in any case. */
export async function headsOf(actors: ActorStore, actorId: string = ALICE): Promise<readonly Snapshot[]> {
  const found = await actors.fetch(actorId);
  if (found === undefined) return [];
  return Array.isArray(found) ? found : [found];
}

/** The vector of the nearest snapshot that these have in common. */
export async function ancestorOf(
  actors: ActorStore,
  vectors: readonly string[],
  ancestry: readonly string[] = [],
  actorId: string = ALICE,
): Promise<string | undefined> {
  const siblings = vectors.map((vector) => ({ vector }));
  return (await actors.findAncestor(actorId, siblings, ancestry))?.vector;
}

/** An actor store that takes down what it reports, without the actor. */
export async function listening(
  store: Pick<StoreInTransaction, "actorStores">,
): Promise<{ readonly actors: ActorStore; readonly told: unknown[] }> {
  const told: unknown[] = [];
  const onAnomaly = (anomaly: Anomaly): void => void told.push(withoutActor(anomaly));
  return { actors: await actorsOf(store, ACCOUNT, { onAnomaly }), told };
}

export function withoutActor(anomaly: Anomaly): object {
  return Object.fromEntries(Object.entries(anomaly).filter(([name]) => name !== "actor"));
}

/** Events with these ids, in this order. What each of them holds follows from its id. */
export function eventsWith(...ids: readonly string[]): readonly (EventInput & { readonly id: string })[] {
  return ids.map((id) => ({ id, type: "deposited", data: { id }, occurredOn: new Date(SOME_TIME) }));
}

export function idsOf(events: readonly { readonly id: string }[]): readonly string[] {
  return events.map(({ id }) => id);
}

/** A moment that is not now, to be told apart from it. */
export const SOME_TIME = 1_700_000_000_000;

/**
 * A moment by the database's clock, after everything that was done before the call and before everything that is done after
 * it.
 */
export async function momentOf<Tx>(store: Store<Tx>): Promise<Date> {
  const moment = (await clockOf(store)) + 2;
  while ((await clockOf(store)) < moment + 2) await turn(1);
  return new Date(moment);
}

async function clockOf<Tx>(store: Store<Tx>): Promise<number> {
  const clock = account("clock");
  const { last } = await store.append({ aggregate: clock, events: [{ type: "ticked", data: null }] });
  const [event] = await collect(store.readAggregate(clock, { fromVersion: last }));
  assert.ok(event !== undefined, "An event that was appended can be read.");
  return event.recordedAt.getTime();
}

/** How often the adapter was asked for something that is kept of actors, and how much it came up with. */
export interface Watch {
  calls: number;
  rows: number;
  /** The most that one call came up with. */
  most: number;
  /** The most that one page of events held. */
  characters: number;
}

/** A store on a watched adapter. The watch begins anew when its numbers are set to zero. */
export async function watched<Tx>(
  site: Pick<Site<Tx>, "open">,
): Promise<{ readonly store: Store<Tx>; readonly watch: Watch }> {
  const watch: Watch = { calls: 0, rows: 0, most: 0, characters: 0 };
  const note = <T>(answer: T): T => {
    const rows = Array.isArray(answer) ? answer.length : answer === undefined ? 0 : 1;
    watch.calls += 1;
    watch.rows += rows;
    watch.most = Math.max(watch.most, rows);
    return answer;
  };
  const weigh = (events: readonly StoredEvent[]): readonly StoredEvent[] => {
    const characters = events.reduce((sum, { data, metadata }) => sum + data.length + metadata.length, 0);
    watch.characters = Math.max(watch.characters, characters);
    return events;
  };
  const store = await site.open({}, (real: Adapter<Tx>) =>
    override(real, () => ({
      readEventsById: async (query, op) => note(weigh(await real.readEventsById(query, op))),
      snapshots: override(real.snapshots, (port) => ({
        heads: async (actor, op) => note(await port.heads(actor, op)),
        get: async (actor, vector, op) => note(await port.get(actor, vector, op)),
        chain: async (actor, vector, limit, op) => note(await port.chain(actor, vector, limit, op)),
        links: async (actor, after, limit, op) => note(await port.links(actor, after, limit, op)),
      })),
    })),
  );
  return { store, watch };
}

/** Each commit of a server waits for its disk. More than these, and the actor's row has so many versions that it slows down. */
const PER_TRANSACTION = 1_000;

/** Stores a chain of `count` snapshots `node:1` … `node:count` through the adapter, which it closes. */
export async function saveChain<Tx>(adapter: Adapter<Tx>, count: number, node = "a"): Promise<void> {
  const actor = { type: ACCOUNT, systemId: ALICE };
  await adapter.open("migrate", {});
  for (let first = 1; first <= count; first += PER_TRANSACTION) {
    await adapter.transaction(async (tx) => {
      const { snapshots } = adapter.within(tx);
      for (let n = first; n < first + PER_TRANSACTION && n <= count; n++) {
        const row = linkRow(`${node}:${n}`, n === 1 ? "" : `${node}:${n - 1}`, n);
        await snapshots.store(actor, row.vector, () => ({ row, isHead: n === count, dominated: [] }), {});
      }
    }, {});
  }
  await adapter.close();
}

function linkRow(vector: string, ancestor: string, version: number): SnapshotRow {
  const nothing = { lastEventId: undefined, lastEventAt: undefined };
  return { vector, snapshotId: "snapshot", version, ancestor, ...nothing, state: "{}" };
}

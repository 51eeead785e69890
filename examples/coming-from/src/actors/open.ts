import type { ActorStore, EventStore, Store, StoreInTransaction } from "@tidemark/core";

export interface Accounts {
  readonly actors: ActorStore;
  readonly events: EventStore;
  readonly inTransaction: <T>(work: (store: StoreInTransaction) => Promise<T>) => Promise<T>;
  /** This process, by a name that no other one has. */
  readonly node: string;
}

export async function openAccounts<Tx>(store: Store<Tx>, node: string): Promise<Accounts> {
  const actors = await store.actorStores.create("account", {
    onAnomaly: ({ kind, actor, vector }) => console.warn(`account ${actor.systemId}: ${kind} at ${vector}`),
  });
  const events = await store.eventStores.create("account");
  return { actors, events, node, inTransaction: (work) => store.transaction((_tx, inside) => work(inside)) };
}

import { type Consumers, START, type Store } from "@tidemark/core";
import { account, deposit } from "./events.ts";
import { collect } from "./expect.ts";

/** A call of each method of a store and its consumers, for laws that speak of every call. */
export function everyCall<Tx>(store: Store<Tx>): readonly (() => Promise<unknown>)[] {
  return [
    ...Object.values(STORE_CALLS).map((call) => () => call(store)),
    ...Object.values(CONSUMERS_CALLS).map((call) => () => call(store.consumers)),
  ];
}

/** A call of each method. A method that `Store` gets and that is missing here does not compile. */
const STORE_CALLS: {
  readonly [
    Method in Exclude<
      keyof Store<never>,
      "logId" | "adapter" | "capabilities" | "codec" | "consumers" | "within" | "close" | symbol
    >
  ]: <Tx>(store: Store<Tx>) => Promise<unknown>;
} = {
  append: (store) => store.append(deposit("alice")),
  appendAll: (store) => store.appendAll([deposit("alice")]),
  readAggregate: (store) => collect(store.readAggregate(account("alice"))),
  readAll: (store) => store.readAll(),
  head: (store) => store.head(),
  frontierHolders: (store) => store.frontierHolders(),
  wait: (store) => store.wait(START, { timeoutMs: 1 }),
  transaction: (store) => store.transaction(async () => undefined),
  enterZone: (store) => store.enterZone("mine"),
  waitFor: (store) => store.waitFor("mine", START, { timeoutMs: 1 }),
  sagas: (store) => store.sagas.get("mine", "1"),
  deadlines: (store) => store.deadlines.due("mine", 1),
  deadLetters: (store) => store.deadLetters.count("mine"),
  claims: (store) => store.claims.release("mine", "key", "token"),
  members: (store) => store.members.meet(["mine"], { member: "me", ms: 1 }),
  actorStores: async (store) => (await store.actorStores.create("account")).fetch("alice"),
  eventStores: async (store) => (await store.eventStores.create("account")).getEventsFor("alice"),
};

const CONSUMERS_CALLS: { readonly [Method in keyof Consumers]: (consumers: Consumers) => Promise<unknown> } = {
  declare: (consumers) => consumers.declare("mine", { kind: "projector" }),
  get: (consumers) => consumers.get("mine"),
  look: (consumers) => consumers.look(["mine"]),
  list: (consumers) => collect(consumers.list()),
  checkpoint: (consumers) => consumers.checkpoint("mine"),
  isEnabled: (consumers) => consumers.isEnabled("mine"),
  enable: (consumers) => consumers.enable("mine"),
  disable: (consumers) => consumers.disable("mine"),
  recordError: (consumers) => consumers.recordError("mine", new Error("late")),
  reset: (consumers) => consumers.reset("mine", "beginning"),
  resegment: (consumers) => consumers.resegment("mine", 1),
  cancelResegment: (consumers) => consumers.cancelResegment("mine"),
  finishResegment: (consumers) => consumers.finishResegment("mine"),
  promote: (consumers) => consumers.promote("mine", { from: 1, to: 2 }),
  retire: (consumers) => consumers.retire({ name: "mine", version: 2 }),
  delete: (consumers) => consumers.delete("mine"),
};

import { type Anomaly, isTidemarkError, type Snapshot } from "@tidemark/core";
import {
  type ConsequentActorStore,
  type ConsequentEvent,
  type ConsequentLibrary,
  type ConsequentState,
  createConsequentStores,
  type SwallowedFailure,
} from "@tidemark/consequent";
import { describe, expect, it } from "vitest";
import { type Applied, defineAccount } from "./account.ts";
import { type ActorDefinition, type Api, describeWithLibrary, type Library } from "./library.ts";
import { type AnyStore, onEachAdapter, type Open } from "./places.ts";

describeWithLibrary((consequent) => {
  onEachAdapter((open) => {
    describe("commands and events", () => commandsAndEvents(consequent, open));
    describe("snapshots", () => snapshots(consequent, open));
    describe("what something else stores", () => othersThings(consequent, open));
    describe("siblings", () => siblings(consequent, open));
    describe("streams", () => streams(consequent, open));
  });
  onEachAdapter((open) => restarts(consequent, open), { durable: true });
});

interface Node extends Applied {
  readonly api: Api;
  readonly failures: readonly SwallowedFailure[];
  readonly anomalies: readonly Anomaly[];
  /** Deposits this much, under this text. */
  readonly deposit: (text: string, amount?: number, id?: unknown) => Promise<void>;
}

interface Settings {
  readonly nodeId?: string;
  readonly actor?: object;
  /** From now on it sees no snapshots but its own, and those that are there already. */
  readonly cutOff?: boolean;
  /** Done between a snapshot and its pack. */
  readonly meanwhile?: () => Promise<void>;
  readonly others?: readonly ActorDefinition[];
  readonly caches?: { readonly actorCache: unknown; readonly eventCache: unknown };
}

async function startNode(consequent: Library, store: AnyStore, settings: Settings = {}): Promise<Node> {
  const { nodeId = "node-1", actor, cutOff = false, meanwhile, others = [], caches = {} } = settings;
  const [ids, failures, anomalies]: [string[], SwallowedFailure[], Anomaly[]] = [[], [], []];
  const stores = createConsequentStores(store, {
    initialState: (type, id) => api.actors[type]?.factory(id),
    onFailure: (failure) => failures.push(failure),
    onAnomaly: (anomaly) => anomalies.push(anomaly),
  });
  const unhindered = meanwhile === undefined ? stores.actorStore : interrupted(stores.actorStore, meanwhile);
  const actorStore = cutOff ? await blindfold(unhindered) : unhindered;
  const actors = [defineAccount({ ids }, actor), ...others];
  const api: Api = await consequent({ ...stores, ...caches, actorStore, actors, nodeId });
  const deposit: Node["deposit"] = async (text, amount = 1, id = "4711") => {
    await nextMillisecond();
    const [result] = await api.handle(id, "account.deposit", { text, amount });
    expect(result?.rejected).toBeUndefined();
  };
  return { api, ids, failures, anomalies, deposit };
}

/**
 * Instances of consequent in one process make the same ids, one after the other in each millisecond: they are meant to be
 * on different hosts.
 */
async function nextMillisecond(): Promise<void> {
  for (const now = Date.now(); Date.now() === now;) await new Promise((resolve) => setImmediate(resolve));
}

/** What a node is given that others' snapshots do not reach: what it has seen before, then its own. */
async function blindfold(
  library: ConsequentLibrary<ConsequentActorStore>,
): Promise<ConsequentLibrary<ConsequentActorStore>> {
  const store = await library.create("account");
  let last = JSON.stringify(await store.fetch("4711"));
  const blind: ConsequentActorStore = {
    ...store,
    fetch: async (): Promise<ConsequentState | undefined> => (last === undefined ? undefined : toState(last)),
    store: async (id: unknown, ...rest: [string, ConsequentState] | [string, string, ConsequentState]) => {
      const [vector, state] = rest.length === 2 ? rest : [rest[1], rest[2]];
      await store.store(id, vector, state);
      last = JSON.stringify(state);
    },
  };
  return { create: async () => blind };
}

/** Does `meanwhile` whenever a snapshot was stored, before consequent goes on. */
function interrupted(
  library: ConsequentLibrary<ConsequentActorStore>,
  meanwhile: () => Promise<void>,
): ConsequentLibrary<ConsequentActorStore> {
  return {
    create: async (type) => {
      const store = await library.create(type);
      return {
        ...store,
        store: async (id: unknown, ...rest: [string, ConsequentState] | [string, string, ConsequentState]) => {
          const [vector, state] = rest.length === 2 ? rest : [rest[1], rest[2]];
          await store.store(id, vector, state);
          await meanwhile();
        },
      };
    },
  };
}

/** Caches of one type of actor, as consequent asks for them, in memory that all nodes reach. */
function createCaches() {
  const [states, ids] = [new Map<unknown, string>(), new Map<unknown, string>()];
  const events = new Map<unknown, ConsequentEvent[]>();
  let hits = 0;
  const hit = <T>(found: T): T => {
    if (found !== undefined) hits += 1;
    return found;
  };
  const actorCache = {
    fetch: async (id: unknown) => hit(states.has(id) ? toState(states.get(id) ?? "") : undefined),
    store: async (id: unknown, _vector: string, state: ConsequentState) => void states.set(id, JSON.stringify(state)),
    getSystemId: async (id: unknown) => ids.get(id),
    mapIds: async (systemId: string, id: unknown) => void ids.set(id, systemId),
  };
  const eventCache = {
    getEventsFor: async (id: unknown, lastEventId = "") => {
      const after = (events.get(id) ?? []).filter((event) => String(event.id) > lastEventId);
      return hit(after.length === 0 ? undefined : after);
    },
    storeEvents: async (id: unknown, list: readonly ConsequentEvent[]) =>
      void events.set(id, [...(events.get(id) ?? []), ...list]),
    storeEventPack: async () => undefined,
  };
  return {
    actorCache: { create: async () => actorCache },
    eventCache: { create: async () => eventCache },
    hits: () => hits,
  };
}

function toState(text: string): ConsequentState {
  return JSON.parse(text) as ConsequentState;
}

async function snapshotsOf(store: AnyStore, id = "4711"): Promise<Snapshot | Snapshot[] | undefined> {
  return (await store.actorStores.create("account")).fetch(id);
}

async function vectorsOf(store: AnyStore): Promise<readonly string[]> {
  const vectors: string[] = [];
  for await (const { vector } of (await store.actorStores.create("account")).links("4711")) vectors.push(vector);
  return vectors;
}

function commandsAndEvents(consequent: Library, open: Open): void {
  it("a command's events are applied, stored, and read back by another instance", async () => {
    const store = await open();
    const [one, two] = [await startNode(consequent, store), await startNode(consequent, store, { nodeId: "node-2" })];
    await one.deposit("salary", 100);
    await nextMillisecond();
    const [withdrawal] = await two.api.handle("4711", "account.withdraw", { text: "rent", amount: 60 });
    expect(withdrawal?.events).toHaveLength(2);
    for (const { api } of [one, two]) {
      const { state } = await api.fetch("account", "4711", true);
      expect(state).toMatchObject({
        number: "4711",
        id: "4711",
        balance: 39,
        history: ["salary", "rent", "rent: fee"],
      });
    }
  });

  it("a command that is rejected stores nothing", async () => {
    const store = await open();
    const { api } = await startNode(consequent, store);
    const [result] = await api.handle("4711", "account.withdraw", { text: "rent", amount: 60 });
    expect(result).toMatchObject({ rejected: true, reason: { message: "not enough" } });
    expect((await store.readAll()).events).toEqual([]);
  });

  it("events come back with everything that consequent has given them", async () => {
    const store = await open();
    const { api } = await startNode(consequent, store);
    const [result] = await api.handle("4711", "account.deposit", { id: "command-1", text: "salary", amount: 100 });
    const { state } = await api.fetch("account", "4711", true);
    const [event] = await api.getEventStream(state["_id"], { actorType: "account" });
    // What is undefined there (nothing has a vector yet) is absent here.
    expect(event).toEqual(result?.events?.[0]);
    expect(event).toMatchObject({
      type: "account.deposited",
      text: "salary",
      amount: 100,
      _actorType: "account",
      _actorId: state["_id"],
      _createdBy: "account",
      _createdById: state["_id"],
      _initiatedBy: "account.deposit",
      _initiatedById: "command-1",
    });
    expect(event?._createdOn).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it("events are in the log that consumers read, of the aggregate (type, system id)", async () => {
    const store = await open();
    const { api, deposit } = await startNode(consequent, store);
    await deposit("salary", 100);
    const { state } = await api.fetch("account", "4711", true);
    const [event] = (await store.readAll()).events;
    expect(event).toMatchObject({
      aggregate: { context: "default", type: "account", id: state["_id"] },
      type: "account.deposited",
      data: { text: "salary", amount: 100 },
      metadata: { _initiatedBy: "account.deposit", _createdBy: "account" },
    });
  });

  it("of many first commands for one actor at once none is lost", async () => {
    const { api } = await startNode(consequent, await open());
    const all = Array.from({ length: 5 }, () => api.handle("4711", "account.deposit", { text: "one", amount: 10 }));
    await Promise.all(all);
    expect((await api.fetch("account", "4711", true)).state["balance"]).toBe(50);
  });

  it("nodes that meet an actor for the first time, at once, know it by the same system id", async () => {
    const store = await open();
    const nodes = await Promise.all(["a", "b", "c"].map((nodeId) => startNode(consequent, store, { nodeId })));
    const found = await Promise.all(nodes.map(({ api }) => api.fetch("account", "4711")));
    expect(new Set(found.map(({ state }) => state["_id"])).size).toBe(1);
  });

  it("ids may be numbers, and several actors are fetched at once", async () => {
    const { api, deposit } = await startNode(consequent, await open());
    await deposit("a", 1, 1);
    await deposit("b", 2, "two");
    const found = await api.fetchAll({ account: [1, "two", "new"] }, true);
    expect(found).toMatchObject({
      account: [{ state: { balance: 1 } }, { state: { balance: 2 } }, { state: { balance: 0 } }],
    });
  });

  it("an actor gets the events of others that it aggregates, and none of those that are not there", async () => {
    const store = await open();
    const summary: ActorDefinition = {
      actor: { type: "summary", identifiedBy: "number" },
      state: (id: string) => ({ accountId: id, seen: [] }),
      commands: {},
      events: {
        "account.deposited": {
          then: (state: { seen: string[] }, { text }: { text: string }) => void state.seen.push(text),
          map: false,
        },
      },
    };
    const { api, deposit } = await startNode(consequent, store, { others: [summary] });
    await deposit("salary");
    expect((await api.fetch("summary", "4711", true)).state).toMatchObject({ seen: ["salary"] });
    expect((await api.fetch("summary", "nobody", true)).state).toMatchObject({ seen: [] });
    expect(await (await store.actorStores.create("account")).getSystemId("nobody")).toBeUndefined();
  });
}

function snapshots(consequent: Library, open: Open): void {
  it("one is stored at the threshold, with all system fields, and what is before it is not replayed", async () => {
    const store = await open();
    const writer = await startNode(consequent, store);
    for (const text of ["a", "b", "c"]) await writer.deposit(text);
    expect(await snapshotsOf(store)).toBeUndefined();
    await writer.deposit("d");
    expect(writer.failures).toEqual([]);
    const stored = await snapshotsOf(store);
    expect(stored).toMatchObject({ vector: "node-1:1", version: 1, ancestor: "" });

    const reader = await startNode(consequent, store, { nodeId: "node-2" });
    const { state } = await reader.api.fetch("account", "4711", true);
    expect(state).toMatchObject({ balance: 4, history: ["a", "b", "c", "d"], _vector: "node-1:1", _version: 1 });
    const stream = [...(await reader.api.getEventStream(state["_id"], { actorType: "account" }))];
    expect(stream.map(({ text }) => text)).toEqual(["a", "b", "c", "d"]);
    // consequent applies what it has read twice, once to a copy.
    expect(new Set(reader.ids)).toEqual(new Set([stream[3]?.id]));

    const snapshot = Array.isArray(stored) ? undefined : stored;
    expect(snapshot?.lastEventId).toBe(stream[2]?.id);
    expect(snapshot?.snapshotId).toBe(snapshot?.state["_snapshotId"]);
    expect(snapshot?.state).toMatchObject({
      _id: state["_id"],
      _vector: "node-1:1",
      _version: 1,
      _lastEventId: stream[2]?.id,
      _lastEventAppliedOn: snapshot?.lastEventOn?.toISOString(),
    });
  });

  it("the second one is made from the first, with the events since in a pack", async () => {
    const store = await open();
    const node = await startNode(consequent, store);
    for (const text of ["a", "b", "c", "d", "e", "f", "g"]) await node.deposit(text);
    expect(await snapshotsOf(store)).toMatchObject({ vector: "node-1:2", ancestor: "node-1:1" });
    expect(await vectorsOf(store)).toEqual(["node-1:1", "node-1:2"]);
    const events = await store.eventStores.create("account");
    const { state } = await node.api.fetch("account", "4711", true);
    const packs = ["node-1:1", "node-1:2"].map((vector) => events.getEventPackFor(String(state["_id"]), vector));
    expect((await Promise.all(packs)).map((pack) => pack?.map(({ data }) => data))).toEqual([
      ["a", "b", "c"].map((text) => ({ text, amount: 1 })),
      ["d", "e", "f"].map((text) => ({ text, amount: 1 })),
    ]);
    expect(node.failures).toEqual([]);
  });

  it("two nodes that have the same id, and store the same at different times, are told of no conflict", async () => {
    const store = await open();
    const [one, two] = [await startNode(consequent, store), await startNode(consequent, store)];
    for (const text of ["a", "b", "c"]) await one.deposit(text);
    await Promise.all([one, two].map(({ api }) => api.fetch("account", "4711")));
    expect(await snapshotsOf(store)).toMatchObject({ vector: "node-1:1" });
    expect([one, two].flatMap(({ failures }) => failures)).toEqual([]);
  });

  it("what consequent does not tell of a snapshot that was refused, onFailure is told", async () => {
    const store = await open();
    const node = await startNode(consequent, store, { nodeId: "host:80" });
    for (const text of ["a", "b", "c", "d"]) await node.deposit(text);
    expect(await snapshotsOf(store)).toBeUndefined();
    const [failure] = node.failures;
    expect(failure).toMatchObject({ call: "store", actorType: "account", id: "4711" });
    expect(isTidemarkError(failure?.error, "INVALID_ARGUMENT")).toBe(true);
  });
}

function othersThings(consequent: Library, open: Open): void {
  it("an event that something else appends, without an id of its own, is in the state with all that come after it", async () => {
    const store = await open();
    const node = await startNode(consequent, store);
    for (const text of ["a", "b"]) await node.deposit(text);
    const { state } = await node.api.fetch("account", "4711", true);
    await nextMillisecond();
    const interest = { type: "account.deposited", data: { text: "interest", amount: 10 } };
    await store.append({ aggregate: { type: "account", id: String(state["_id"]) }, events: [interest] });
    const after = ["c", "d", "e", "f", "g", "h", "i"];
    for (const text of after) await node.deposit(text);
    expect(await snapshotsOf(store)).toMatchObject({ version: 3 });
    const found = await node.api.fetch("account", "4711", true);
    expect(found.state).toMatchObject({ balance: 19, history: ["a", "b", "interest", ...after] });
    expect(node.failures).toEqual([]);
  });

  it("a snapshot that something else has stored is gone on from", async () => {
    const store = await open();
    const [actors, events] = [await store.actorStores.create("account"), await store.eventStores.create("account")];
    const systemId = await actors.identities.resolve("4711");
    const event = { type: "account.deposited", data: { text: "a", amount: 1 } };
    const [first] = (await events.storeEvents(systemId, [event])).ids;
    const state = { balance: 1, history: ["a"], _id: systemId, _ancestor: "", _lastEventId: first };
    await actors.store({ systemId }, "s", "other:1", state);
    const node = await startNode(consequent, store);
    for (const text of ["b", "c", "d", "e"]) await node.deposit(text);
    expect(await snapshotsOf(store)).toMatchObject({ vector: "node-1:1;other:1", version: 2, ancestor: "other:1" });
    expect((await node.api.fetch("account", "4711", true)).state).toMatchObject({ balance: 5 });
    expect(node.failures).toEqual([]);
  });
}

function siblings(consequent: Library, open: Open): void {
  /** Two nodes, each with a snapshot that the other one does not know; all events are in the store. */
  async function divide(store: AnyStore, { ancestor }: { ancestor: boolean }): Promise<readonly [Node, Node]> {
    if (ancestor) {
      const before = await startNode(consequent, store, { nodeId: "before" });
      for (const text of ["x", "y", "z", "0"]) await before.deposit(text);
      expect(await snapshotsOf(store)).toMatchObject({ vector: "before:1" });
    }
    return [
      await startNode(consequent, store, { nodeId: "a", cutOff: true }),
      await startNode(consequent, store, { nodeId: "b", cutOff: true }),
    ];
  }

  it.each([{ ancestor: true }, { ancestor: false }])(
    "come up, and the next command heals them ($ancestor)",
    async ({ ancestor }) => {
      const store = await open();
      const [a, b] = await divide(store, { ancestor });
      for (const text of ["1", "2", "3", "4", "5", "6", "7"]) await a.deposit(text, 100);
      for (const text of ["8", "9", "10"]) await b.deposit(text, 1_000);
      const found = await snapshotsOf(store);
      expect(Array.isArray(found) && found.length).toBe(2);

      const healer = await startNode(consequent, store, { nodeId: "healer" });
      await healer.deposit("11", 10_000);
      const before = ancestor ? ["x", "y", "z", "0"] : [];
      const history = [...before, "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
      const healed = await snapshotsOf(store);
      expect(healed).toMatchObject({
        ancestor: ancestor ? "before:1" : "",
        state: { history, balance: before.length + 700 + 3_000 },
      });
      expect(healer.failures).toEqual([]);

      // As all others see it from then on, with what came after it.
      const reader = await startNode(consequent, store, { nodeId: "reader" });
      const { state } = await reader.api.fetch("account", "4711", true);
      expect(state["history"]).toEqual([...history, "11"]);
      expect(state["_siblings"]).toBeUndefined();
      expect(new Set(reader.ids).size).toBe(1);
    },
  );

  it("are healed by what was done while their ancestor was being stored, too", async () => {
    const store = await open();
    const other = await startNode(consequent, store, { nodeId: "other" });
    const meanwhile = async () => {
      await other.deposit("meanwhile");
      await nextMillisecond();
    };
    const before = await startNode(consequent, store, { nodeId: "before", meanwhile });
    for (const text of ["x", "y", "z", "0"]) await before.deposit(text);
    const [a, b] = await divide(store, { ancestor: false });
    for (const text of ["1", "2", "3"]) await a.deposit(text);
    for (const text of ["4", "5", "6"]) await b.deposit(text);
    expect(await snapshotsOf(store)).toMatchObject([{ ancestor: "before:1" }, { ancestor: "before:1" }]);

    const healer = await startNode(consequent, store, { nodeId: "healer" });
    await healer.deposit("7");
    const healed = await snapshotsOf(store);
    const history = ["x", "y", "z", "meanwhile", "0", "1", "2", "3", "4", "5", "6"];
    expect(healed).toMatchObject({ ancestor: "before:1", state: { history } });
    expect([before, a, b, healer].flatMap(({ failures }) => failures)).toEqual([]);
  });

  it("that several nodes heal at once are healed once", async () => {
    const store = await open();
    const [a, b] = await divide(store, { ancestor: true });
    for (const text of ["4", "5", "6", "7"]) await a.deposit(text);
    for (const text of ["8", "9", "10", "11"]) await b.deposit(text);
    const healers = await Promise.all(["c", "d", "e"].map((nodeId) => startNode(consequent, store, { nodeId })));
    const states = await Promise.all(healers.map(({ api }) => api.fetch("account", "4711")));
    expect(new Set(states.map(({ state }) => JSON.stringify(state["history"]))).size).toBe(1);
    expect(Array.isArray(await snapshotsOf(store))).toBe(false);
    expect(healers.flatMap(({ failures }) => failures)).toEqual([]);
  });

  it("are healed behind caches that all share, which then have what was healed", async () => {
    const store = await open();
    const [a, b] = await divide(store, { ancestor: true });
    const caches = createCaches();
    for (const text of ["4", "5", "6", "7"]) await a.deposit(text);
    for (const text of ["8", "9", "10"]) await b.deposit(text);
    const healer = await startNode(consequent, store, { nodeId: "c", caches });
    await healer.deposit("11");
    await healer.deposit("12");
    const reader = await startNode(consequent, store, { nodeId: "d", caches });
    const { state } = await reader.api.fetch("account", "4711", true);
    expect(state["history"]).toEqual(["x", "y", "z", "0", "4", "5", "6", "7", "8", "9", "10", "11", "12"]);
    expect(state).toMatchObject({ _ancestor: "before:1" });
    expect(state["_siblings"]).toBeUndefined();
    expect(caches.hits()).toBeGreaterThanOrEqual(4);
    expect(healer.failures).toEqual([]);
  });

  it("are read as one without being healed, by who only reads", async () => {
    const store = await open();
    const [a, b] = await divide(store, { ancestor: true });
    for (const text of ["4", "5", "6", "7"]) await a.deposit(text);
    for (const text of ["8", "9", "10"]) await b.deposit(text);
    const reader = await startNode(consequent, store, { nodeId: "reader" });
    const { state } = await reader.api.fetch("account", "4711", true);
    expect(state["history"]).toHaveLength(11);
    expect(Array.isArray(await snapshotsOf(store))).toBe(true);
  });
}

function streams(consequent: Library, open: Open): void {
  it("of events go from an id to an id, from a date to a date, and through a filter", async () => {
    const { api, deposit } = await startNode(consequent, await open());
    for (const text of ["a", "b", "c", "d"]) await deposit(text);
    const { state } = await api.fetch("account", "4711", true);
    const read = async (options: object) => [
      ...(await api.getEventStream(state["_id"], { actorType: "account", ...options })),
    ];
    const texts = async (options: object) => (await read(options)).map(({ text }) => text);
    const [a, b, c, d] = await read({});
    expect(await texts({ sinceId: a?.id, untilId: c?.id })).toEqual(["b", "c"]);
    expect(await texts({ since: a?._createdOn, until: d?._createdOn })).toEqual(["a", "b", "c", "d"]);
    expect(await texts({ since: Date.parse("2100-01-01") })).toEqual([]);
    expect(await texts({ until: new Date(0) })).toEqual([]);
    expect(await texts({ filter: ({ id }: { id: string }) => id === b?.id })).toEqual(["b"]);
    expect(await texts({ eventTypes: ["account.withdrawn"] })).toEqual([]);
  });

  it("of an actor's states begin at the snapshot and go on event by event", async () => {
    const { api, deposit } = await startNode(consequent, await open());
    for (const text of ["a", "b", "c", "d", "e"]) await deposit(text);
    const { state } = await api.fetch("account", "4711", true);
    const [, , c] = [...(await api.getEventStream(state["_id"], { actorType: "account" }))];
    const balances: unknown[] = [];
    for await (const { balance } of api.getActorStream("account", state["_id"], { sinceId: c?.id }))
      balances.push(balance);
    expect(balances).toEqual([3, 4, 5]);
  });

  it("of an actor without a snapshot begin with a new one, and leave its ids as they were", async () => {
    const store = await open();
    const { api, deposit } = await startNode(consequent, store);
    for (const text of ["a", "b"]) await deposit(text);
    const { state } = await api.fetch("account", "4711", true);
    const balances: unknown[] = [];
    for await (const { balance } of api.getActorStream("account", state["_id"], { sinceId: "0" }))
      balances.push(balance);
    expect(balances).toEqual([0, 1, 2]);
    const actors = await store.actorStores.create("account");
    expect(await actors.getSystemId("4711")).toBe(state["_id"]);
    expect(await actors.getSystemId(String(state["_id"]))).toBeUndefined();
  });
}

function restarts(consequent: Library, open: Open): void {
  it("what was stored is there after a restart, and goes on", async () => {
    const first = await open();
    const before = await startNode(consequent, first);
    for (const text of ["a", "b", "c", "d", "e"]) await before.deposit(text);
    await first.close();

    const store = await open();
    const after = await startNode(consequent, store);
    for (const text of ["f", "g"]) await after.deposit(text);
    expect((await after.api.fetch("account", "4711", true)).state["history"]).toEqual("abcdefg".split(""));
    // Not one of those in the snapshot, which holds a to c.
    expect(new Set(after.ids).size).toBe(4);
    expect(await snapshotsOf(store)).toMatchObject({ vector: "node-1:2" });
  });
}

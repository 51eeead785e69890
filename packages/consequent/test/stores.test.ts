// The calling convention, without consequent: what it, its documentation and its other adapters do.
import { createMemoryStore } from "@tidemark/adapter-memory";
import { type Anomaly, createFlakeGenerator, isTidemarkError, vectorClock } from "@tidemark/core";
import {
  type ConsequentActorStore,
  type ConsequentEvent,
  type ConsequentEventStore,
  type ConsequentState,
  createConsequentStores,
  type HealedOptions,
  type SwallowedFailure,
} from "@tidemark/consequent";
import { describe, expect, it } from "vitest";
import { onEachAdapter, type Open } from "./places.ts";

const flake = createFlakeGenerator();

onEachAdapter((open) => {
  describe("the actor store", () => snapshots(open));
  describe("ids", () => ids(open));
  describe("siblings", () => siblings(open));
  describe("the event store", () => events(open));
});

it("a new actor's state is asked for", async () => {
  const store = await createMemoryStore();
  const forgotten = {} as HealedOptions;
  expect(codeThrownBy(() => createConsequentStores(store, forgotten))).toBe("INVALID_ARGUMENT");
  expect(codeThrownBy(() => createConsequentStores(store, undefined as never))).toBe("INVALID_ARGUMENT");
  await store.close();
});

it("a store that was not awaited is refused, and what siblings cannot be", async () => {
  const creating = createMemoryStore();
  expect(codeThrownBy(() => createConsequentStores(creating as never, { siblings: "array" }))).toBe("INVALID_ARGUMENT");
  const store = await creating;
  expect(codeThrownBy(() => createConsequentStores(store, { siblings: "none" as never }))).toBe("INVALID_ARGUMENT");
  expect(() => createConsequentStores(store, null as never)).toThrow("options is an object, got null.");
  await store.close();
});

interface Fixture {
  readonly actors: ConsequentActorStore;
  readonly events: ConsequentEventStore;
  readonly failures: readonly SwallowedFailure[];
  readonly anomalies: readonly Anomaly[];
}

async function create(
  open: Open,
  { initialState = () => ({ balance: 0 }) }: Partial<HealedOptions> = {},
): Promise<Fixture> {
  const [failures, anomalies]: [SwallowedFailure[], Anomaly[]] = [[], []];
  const { actorStore, eventStore } = createConsequentStores(await open(), {
    initialState,
    onFailure: (failure) => failures.push(failure),
    onAnomaly: (anomaly) => anomalies.push(anomaly),
  });
  return {
    actors: await actorStore.create("account"),
    events: await eventStore.create("account"),
    failures,
    anomalies,
  };
}

function stateWith(vector: string, more: ConsequentState = {}): ConsequentState {
  const version = vectorClock.version(vector);
  return {
    _id: "system-1",
    _vector: vector,
    _version: version,
    _snapshotId: flake(),
    number: "4711",
    balance: 1,
    ...more,
  };
}

/** A snapshot made from none, stored as consequent does. */
async function storeFirst(actors: ConsequentActorStore, vector: string, more: ConsequentState = {}): Promise<void> {
  await actors.store("4711", vector, stateWith(vector, more));
}

function snapshots(open: Open): void {
  it("takes a snapshot as consequent gives it, and as its documentation does", async () => {
    const { actors } = await create(open);
    const [first, second] = [stateWith("a:1"), stateWith("a:2", { _ancestor: "a:1" })];
    await actors.store("4711", "a:1", first);
    expect(await actors.fetch("4711")).toEqual(first);
    await actors.store("4711", flake(), "a:2", second);
    expect(await actors.fetch("4711")).toEqual(second);
  });

  it("gives all system fields back as they were, dates as texts", async () => {
    const { actors } = await create(open);
    const state = stateWith("a:1;b:2", {
      _version: 3,
      _ancestor: "a:1",
      _eventsApplied: 7,
      _lastEventId: "e7",
      _lastCommandId: "c7",
      _lastCommandType: "account.deposit",
      _lastCommandHandledOn: "2026-01-02T03:04:05.678Z",
      _lastEventAppliedOn: "2026-01-02T03:04:05.679Z",
      _related: { owner: { _lastEventId: "o1", _lastEventAppliedOn: "2026-01-02T03:04:05.679Z" } },
    });
    await actors.store("4711", "a:1;b:2", state);
    expect(await actors.fetch("4711")).toEqual(state);
  });

  it("gives the system fields that a state lacks which something else has stored", async () => {
    const store = await open();
    const core = await store.actorStores.create("account");
    const stored = { _id: "system-1", _snapshotId: "s", _lastEventId: "e1", balance: 1 };
    await core.store({ systemId: "system-1" }, "s", "b:2;a:1", { ...stored, _ancestor: "" });
    await core.store({ systemId: "system-1" }, "s", "a:2;b:2", stored);
    const { actorStore } = createConsequentStores(store, { siblings: "array" });
    const actors = await actorStore.create("account");
    const first = await actors.fetchByLastEventId("system-1", "e1");
    expect(first).toEqual({ ...stored, _vector: "a:2;b:2", _version: 4, _ancestor: "a:1;b:2" });
    const found = await actors.findAncestor("system-1", [{ _vector: "a:2;b:2" }], ["a:2;b:2"]);
    expect(found).toBeUndefined();
    const ancestor = await actors.findAncestor("system-1", [{ _vector: "a:1;b:2" }]);
    expect(ancestor).toEqual({ ...stored, _vector: "a:1;b:2", _version: 3 });
  });

  it("takes what it has given, whoever stored it, for the same", async () => {
    const store = await open();
    const core = await store.actorStores.create("account");
    await core.store({ systemId: "system-1" }, "s", "a:1", { _snapshotId: "s", balance: 1 });
    await core.store({ systemId: "system-1" }, "s", "a:2", { _snapshotId: "s", balance: 2, _ancestor: { a: 1 } });
    const { actorStore } = createConsequentStores(store, { siblings: "array" });
    const actors = await actorStore.create("account");
    const links = async () => (await core.inspect({ systemId: "system-1" })).snapshots;
    for (const vector of ["a:1", "a:2"]) {
      const state = await actors.findAncestor("system-1", [{ _vector: vector }]);
      if (state === undefined) throw new Error(`There is no ${vector}.`);
      await actors.store("system-1", vector, { ...state, _snapshotId: flake() });
      const other = actors.store("system-1", vector, { ...state, balance: 3 });
      expect(await codeOf(other)).toBe("SNAPSHOT_CONFLICT");
    }
    const from = { _ancestor: "a:1;c:0", _snapshotId: "s", balance: 2 };
    await actors.store("system-1", "a:2", from);
    expect(await codeOf(actors.store("system-1", "a:2", { ...from, _ancestor: "" }))).toBe("SNAPSHOT_CONFLICT");
    expect(await links()).toBe(2);
  });

  it("finds the state at an event and at a date", async () => {
    const { actors } = await create(open);
    for (const n of [1, 3]) {
      const date = `2026-01-0${n}T00:00:00.000Z`;
      await actors.store("4711", `a:${n}`, stateWith(`a:${n}`, { _lastEventId: `e${n}`, _lastEventAppliedOn: date }));
    }
    const vectors = async (found: Promise<ConsequentState | undefined>) => (await found)?.["_vector"];
    expect(await vectors(actors.fetchByLastEventId("4711", "e2"))).toBe("a:1");
    expect(await vectors(actors.fetchByLastEventId("4711", "e3"))).toBe("a:3");
    expect(await vectors(actors.fetchByLastEventId("4711", "e0"))).toBeUndefined();
    for (const date of ["2026-01-02", new Date("2026-01-02"), Date.parse("2026-01-02")]) {
      expect(await vectors(actors.fetchByLastEventDate("4711", date))).toBe("a:1");
    }
    expect(await vectors(actors.fetchByLastEventDate("4711", "2025-12-31"))).toBeUndefined();
    expect(await codeOf(actors.fetchByLastEventDate("4711", "yesterday"))).toBe("INVALID_ARGUMENT");
  });

  it("takes the same state again, applied at another time, for the same", async () => {
    const { actors, failures, anomalies } = await create(open);
    const related = (time: string) => ({ owner: { _lastEventId: "o1", _lastEventAppliedOn: time } });
    await storeFirst(actors, "a:1", { _lastEventAppliedOn: "2026-01-01T00:00:00.000Z", _related: related("then") });
    await storeFirst(actors, "a:1", { _lastEventAppliedOn: "2026-01-02T00:00:00.000Z", _related: related("now") });
    expect(await actors.fetch("4711")).toMatchObject({ _lastEventAppliedOn: "2026-01-01T00:00:00.000Z" });
    expect([failures, anomalies]).toEqual([[], []]);
  });

  it("refuses another state with the same vector, and tells of it", async () => {
    const { actors, failures, anomalies } = await create(open);
    await storeFirst(actors, "a:1");
    expect(await codeOf(storeFirst(actors, "a:1", { balance: 2 }))).toBe("SNAPSHOT_CONFLICT");
    expect(failures).toMatchObject([{ call: "store", actorType: "account", id: "4711" }]);
    expect(anomalies).toMatchObject([{ kind: "other-state", vector: "a:1" }]);
    expect(await actors.fetch("4711")).toMatchObject({ balance: 1 });
  });

  it("refuses a state without a _snapshotId", async () => {
    const { actors } = await create(open);
    expect(await codeOf(actors.store("4711", "a:1", { _vector: "a:1" }))).toBe("INVALID_ARGUMENT");
  });

  it("refuses what is no state, sibling, vector or date, and says what it has to be", async () => {
    const { actors, failures } = await create(open);
    const store = actors.store as (...given: readonly unknown[]) => Promise<void>;
    const advice = "Call store(id, vector, state) or store(id, snapshotId, vector, state).";
    await refuses(store("4711", "a:1"), `state is an object, got undefined. ${advice}`);
    await refuses(store("4711", "a:1", null), `state is an object, got null. ${advice}`);
    await refuses(store("4711", "a:1", stateWith("a:1"), undefined), `state is an object, got undefined. ${advice}`);
    expect(failures).toHaveLength(3);
    await refuses(actors.findAncestor("4711", "x" as never), "siblings is an array, got a string.");
    await refuses(actors.findAncestor("4711", [], null as never), "ancestry is an array, got null.");
    const dates = "is a Date, an ISO text or milliseconds since 1970, got";
    await refuses(actors.getSystemId("4711", new Date(Number.NaN)), `asOf ${dates} an invalid Date.`);
    await refuses(actors.getActorId("4711", {}), `asOf ${dates} an object.`);
    await refuses(actors.fetchByLastEventDate("4711", "yesterday"), `lastEventDate ${dates} another text.`);
  });
}

function ids(open: Open): void {
  it("of a snapshot of an actor that nobody has fetched is the state's own", async () => {
    const { actors } = await create(open);
    await storeFirst(actors, "a:1");
    expect(await actors.getSystemId("4711")).toBe("system-1");
    expect(await actors.fetch("system-1")).toMatchObject({ _vector: "a:1" });
  });

  it("are mapped both ways, and keep their history", async () => {
    const { actors } = await create(open);
    expect([await actors.getSystemId("4711"), await actors.getActorId("system-1")]).toEqual([undefined, undefined]);
    await actors.mapIds("system-1", "4711");
    await storeFirst(actors, "a:1");
    await actors.mapIds("system-1", "4712");
    expect(await actors.getActorId("system-1")).toBe("4712");
    expect(await actors.fetch("4712")).toMatchObject({ _vector: "a:1" });
    expect(await actors.getSystemId("4712", "2020-01-01T00:00:00Z")).toBeUndefined();
    expect(await actors.getActorId("system-1", new Date(0))).toBeUndefined();
  });

  it("a fetched actor has a system id, the same for all; a system id stands for itself", async () => {
    const { actors } = await create(open);
    const found = await Promise.all([1, 2, 3].map(() => actors.fetch(4711)));
    expect(found).toEqual([undefined, undefined, undefined]);
    const systemId = await actors.getSystemId("4711");
    expect(systemId).toEqual(expect.any(String));
    expect(await actors.getSystemId(systemId)).toBe(systemId);
    await actors.fetch(systemId);
    expect(await actors.getActorId(String(systemId))).toBe("4711");
  });

  it("that are none are refused where something is written", async () => {
    const { actors, events } = await create(open);
    for (const id of [undefined, null, {}]) {
      expect(await codeOf(actors.store(id, "a:1", stateWith("a:1")))).toBe("INVALID_ARGUMENT");
      expect(await codeOf(events.storeEvents(id, []))).toBe("INVALID_ARGUMENT");
    }
  });

  it("that a state could not hold are refused, with what to give instead", async () => {
    const { actors, events } = await create(open);
    await refuses(
      actors.fetch(5n),
      "id is a string or a finite number, got the bigint 5. Give it as a text: String(id).",
    );
    for (const id of [5n, Number.NaN, Number.POSITIVE_INFINITY]) {
      const message = /^id is a string or a finite number, got the .*\. Give /;
      await refuses(actors.fetch(id), message);
      await refuses(actors.mapIds("system-1", id), message);
      await refuses(events.getEventsFor(id), message);
      await refuses(collect(events.getEventStreamFor(id)), message);
    }
  });
}

function siblings(open: Open): void {
  it("first snapshots of three nodes are three siblings, and none is refused", async () => {
    const { actorStore } = createConsequentStores(await open(), { siblings: "array" });
    const actors = await actorStore.create("account");
    for (const vector of ["a:1", "b:1", "c:1"]) await actors.store("4711", vector, stateWith(vector));
    const found = await actors.fetch("4711");
    expect(found).toMatchObject([{ _vector: "a:1" }, { _vector: "b:1" }, { _vector: "c:1" }]);
  });

  it("as an array they have an ancestor to be found, whether states or instances", async () => {
    const { actorStore } = createConsequentStores(await open(), { siblings: "array" });
    const actors = await actorStore.create("account");
    await actors.store("4711", "a:1", stateWith("a:1"));
    for (const vector of ["a:2", "a:1;b:1"])
      await actors.store("4711", vector, stateWith(vector, { _ancestor: "a:1" }));
    const found = await actors.fetch("4711");
    const states = Array.isArray(found) ? found : [];
    expect(await actors.findAncestor("4711", states, [])).toMatchObject({ _vector: "a:1" });
    expect(
      await actors.findAncestor(
        "4711",
        states.map((state) => ({ state })),
      ),
    ).toMatchObject({ _vector: "a:1" });
    expect(await actors.findAncestor("4711", states, ["a:1"])).toBeUndefined();
    expect(await codeOf(actors.findAncestor("4711", [{}]))).toBe("INVALID_ARGUMENT");
  });

  it.each([{ from: "an ancestor" }, { from: "a new actor's state" }])(
    "are healed from $from by the events since, of the log and of packs",
    async ({ from }) => {
      const shared = from === "an ancestor";
      const { actors, events } = await create(open, { initialState: async (type, id) => ({ isNew: `${type} ${id}` }) });
      await actors.mapIds("system-1", "4711");
      const [e1, e2, e3, e4, e5] = ["e1", "e2", "e3", "e4", "e5"].map((id) => ({ id, type: "account.changed" }));
      if (e1 === undefined || e2 === undefined || e3 === undefined || e4 === undefined || e5 === undefined) return;
      if (shared) {
        await storeFirst(actors, "x:1", { _lastEventId: "e1", history: ["e1"] });
        await events.storeEvents("system-1", [e1]);
      }
      const ancestor = shared ? { _ancestor: "x:1" } : {};
      await storeFirst(actors, shared ? "a:1;x:1" : "a:1", { ...ancestor, _lastEventId: "e3" });
      await storeFirst(actors, shared ? "b:1;x:1" : "b:1", { ...ancestor, _lastEventId: "e4" });
      // Of the one node the log has the events, of the other one only a pack.
      await events.storeEvents("system-1", [e5, e2, e4]);
      await events.storeEventPack("system-1", shared ? "a:1;x:1" : "a:1", [
        e3,
        e2,
        { id: "e2x", type: "owner.informed", _actorType: "owner", _actorId: "o" },
      ]);

      const begun = await actors.fetch("4711");
      const merged = shared ? "a:1;b:1;x:1" : "a:1;b:1";
      expect(begun).toMatchObject({ _id: "system-1", _vector: merged, _version: shared ? 3 : 2 });
      expect(begun).toMatchObject(shared ? { history: ["e1"] } : { isNew: "account 4711" });
      const replayed = await events.getEventsFor("system-1", begun?.["_lastEventId"]);
      expect(replayed.map(({ id }) => id)).toEqual(["e2", "e3", "e4", "e5"]);

      // As consequent does: the vector raised, the one before it the ancestor.
      const healed: ConsequentState = { ...begun, _ancestor: merged, _vector: `${merged};z:1`, _snapshotId: flake() };
      const again = structuredClone(healed);
      await actors.store("4711", `${merged};z:1`, healed);
      expect(healed).toMatchObject({ _vector: merged, _ancestor: shared ? "x:1" : "" });
      await actors.store("4711", `${merged};z:1`, again);
      const found = await actors.fetch("4711");
      expect(found).toMatchObject({ _vector: merged, _version: shared ? 3 : 2 });
      expect(found?.["_siblings"]).toBeUndefined();
      // Nothing was applied to it here, so its last event is the ancestor's.
      expect(found?.["_lastEventId"]).toBe(shared ? "e1" : undefined);
      expect(found?.["_ancestor"]).toBe(shared ? "x:1" : undefined);
    },
  );

  it("are healed by what came between their ancestor and its pack, too", async () => {
    const { actors, events } = await create(open);
    await actors.mapIds("system-1", "4711");
    const [e1, e2, e3] = ["e1", "e2", "e3"].map((id) => ({ id, type: "account.changed" }));
    if (e1 === undefined || e2 === undefined || e3 === undefined) return;
    await events.storeEvents("system-1", [e1, e2]);
    const related = { id: "r9", type: "owner.informed", _actorType: "owner", _actorId: "o" };
    await storeFirst(actors, "x:1", { _lastEventId: "e1" });
    // consequent adds what it finds after the snapshot's last event to what it has applied.
    await events.storeEventPack("system-1", "x:1", [e2, e1, related]);
    const pack = await events.getEventPackFor("system-1", "x:1");
    expect(pack?.map(({ id }) => id)).toEqual(["e1", "r9"]);

    await events.storeEvents("system-1", [e3]);
    await storeFirst(actors, "a:1;x:1", { _ancestor: "x:1", _lastEventId: "e3" });
    await storeFirst(actors, "b:1;x:1", { _ancestor: "x:1", _lastEventId: "e2" });
    const begun = await actors.fetch("4711");
    const replayed = await events.getEventsFor("system-1", begun?.["_lastEventId"]);
    expect(replayed.map(({ id }) => id)).toEqual(["e2", "e3"]);
  });

  it("that share none, and no new actor's state to begin with, are refused", async () => {
    const { actors } = await create(open, { initialState: () => undefined });
    for (const vector of ["a:1", "b:1"]) await storeFirst(actors, vector);
    expect(await codeOf(actors.fetch("4711"))).toBe("INVALID_ARGUMENT");
  });
}

function events(open: Open): void {
  const deposit = (id: string, more: ConsequentEvent = {}): ConsequentEvent => ({
    id,
    type: "account.deposited",
    amount: 1,
    _actorId: "system-1",
    _actorType: "account",
    _createdOn: `2026-01-0${id.slice(1)}T00:00:00.000Z`,
    _createdBy: "account",
    _createdById: "system-1",
    _createdByVector: "a:1",
    _createdByVersion: 1,
    _initiatedBy: "account.deposit",
    _initiatedById: "c1",
    ...more,
  });
  const idsOf = (list: readonly ConsequentEvent[] | undefined) => list?.map(({ id }) => id);

  it("gives events back as they were stored, by id, after an id or since a date", async () => {
    const { events: store } = await create(open);
    const [e1, e2, e3] = [deposit("e1"), deposit("e2", { _indexBy: ["amount"], nested: { list: [1] } }), deposit("e3")];
    await store.storeEvents("system-1", [e3, e1, e2]);
    await store.storeEvents("system-1", [e1, e3]);
    expect(await store.getEventsFor("system-1")).toEqual([e1, e2, e3]);
    expect(await store.getEventsFor("system-1", "")).toEqual([e1, e2, e3]);
    expect(await store.getEventsFor("system-1", null)).toEqual([e1, e2, e3]);
    expect(await store.getEventsFor("system-1", "e1")).toEqual([e2, e3]);
    expect(idsOf(await store.getEventsSince("system-1", e2._createdOn))).toEqual(["e2", "e3"]);
    expect(await codeOf(store.getEventsSince("system-1", undefined))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(store.storeEvents("system-1", [deposit("e1", { amount: 2 })]))).toBe("KNOWN_EVENT_IDS");
  });

  it("has nothing for actors that are unknown, or have no id", async () => {
    const { events: store } = await create(open);
    for (const id of ["nobody", null, undefined]) {
      expect(await store.getEventsFor(id)).toEqual([]);
      expect(await store.getEventsSince(id, "2026-01-01")).toEqual([]);
      expect(await store.getEventPackFor(id, "a:1")).toBeUndefined();
      expect(await collect(store.getEventStreamFor(id))).toEqual([]);
    }
  });

  it("streams with and without await, by all options together, and not to who cannot wait", async () => {
    const { events: store } = await create(open);
    await store.storeEvents(
      "system-1",
      ["e1", "e2", "e3", "e4", "e5"].map((id) => deposit(id)),
    );
    const options = { sinceId: "e1", untilId: "e5", since: "2026-01-02", until: new Date("2026-01-04") };
    const filter = ({ id, amount }: ConsequentEvent) => id !== "e3" && amount === 1;
    const stream = store.getEventStreamFor("system-1", { ...options, filter });
    expect(idsOf(await collect(stream))).toEqual(["e2", "e4"]);
    expect(idsOf(await collect(await stream))).toEqual(["e2", "e4"]);
    expect(codeThrownBy(() => Array.from<ConsequentEvent>(stream))).toBe("UNSUPPORTED");
  });

  it("keeps packs by vector, each event once", async () => {
    const { events: store } = await create(open);
    await store.storeEventPack("system-1", "a:1", [deposit("e2"), deposit("e1"), deposit("e2")]);
    expect(await store.getEventPackFor("system-1", "a:1")).toEqual([deposit("e1"), deposit("e2")]);
    expect(await store.getEventPackFor("system-1", "a:2")).toBeUndefined();
  });

  it("keeps fields of any name", async () => {
    const { events: store } = await create(open);
    const fields = JSON.parse('{ "__proto__": { "polluted": 1 }, "": 0 }') as ConsequentEvent;
    const event = { ...deposit("e1"), ...fields };
    await store.storeEvents("system-1", [event]);
    const [found] = await store.getEventsFor("system-1");
    expect(found).toStrictEqual(event);
    expect(Object.keys(found ?? {})).toContain("__proto__");
  });

  it("says of an id that another event has what may be the reason", async () => {
    const { events: store } = await create(open);
    await store.storeEvents("system-1", [deposit("e1")]);
    const storing = store.storeEvents("system-1", [deposit("e1", { amount: 2 })]);
    await expect(storing).rejects.toThrow(/one instance/);
  });

  it("gives an event that something else has appended what it lacks", async () => {
    const store = await open();
    const { eventStore } = createConsequentStores(store, { siblings: "array" });
    const occurredOn = new Date("2026-01-01T00:00:00Z");
    const aggregate = { type: "account", id: "system-1" };
    await store.append({
      aggregate,
      events: [
        { id: "e1", type: "account.closed", data: { reason: "moved" }, occurredOn },
        { id: "e2", type: "account.noted", data: "a text", occurredOn },
      ],
    });
    const added = { _actorType: "account", _actorId: "system-1", _createdOn: occurredOn.toISOString() };
    expect(await (await eventStore.create("account")).getEventsFor("system-1")).toEqual([
      { ...added, id: "e1", type: "account.closed", reason: "moved" },
      { ...added, id: "e2", type: "account.noted", data: "a text" },
    ]);
  });

  it("refuses what is no event, list, option or date, and says what it has to be", async () => {
    const { events: store, failures } = await create(open);
    await refuses(store.storeEvents("system-1", {} as never), "events is an array, got an object.");
    await refuses(store.storeEvents("system-1", [null as never]), "event is an object, got null.");
    await refuses(store.storeEventPack("system-1", "a:1", null as never), "events is an array, got null.");
    await refuses(store.storeEventPack("system-1", "a:1", [null as never]), "event is an object, got null.");
    expect(failures).toHaveLength(2);
    const dates = "is a Date, an ISO text or milliseconds since 1970, got";
    const event = deposit("e1", { _createdOn: "yesterday" });
    await refuses(store.storeEvents("system-1", [event]), `_createdOn ${dates} another text.`);
    await refuses(store.getEventsSince("system-1", true), `date ${dates} the boolean true.`);
    const read = async (options: unknown) => collect(store.getEventStreamFor("system-1", options as object));
    await refuses(read(null), "options is an object, got null.");
    await refuses(read({ filter: "e1" }), "filter is a function that tells whether an event is wanted, got a string.");
    await refuses(read({ since: [] }), `since ${dates} an array.`);
    await refuses(read({ sinceId: 5 }), "sinceId is the id of an event, a string, got the number 5.");
  });

  it("refuses events for actors that nobody has named", async () => {
    const { events: store } = await create(open);
    const event = { id: "e1", type: "owner.informed", _actorId: undefined };
    expect(await codeOf(store.storeEvents("undefined", [event]))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(store.storeEvents("system-1", [{ id: "e1" }]))).toBe("INVALID_ARGUMENT");
  });
}

async function collect<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

async function refuses(call: Promise<unknown>, message: string | RegExp): Promise<void> {
  await expect(call).rejects.toThrow(message);
  expect(await codeOf(call)).toBe("INVALID_ARGUMENT");
}

function codeThrownBy(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (isTidemarkError(error)) return error.code;
    throw error;
  }
  return "nothing was thrown";
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "nothing was thrown",
    (error: unknown) => {
      if (isTidemarkError(error)) return error.code;
      throw error;
    },
  );
}

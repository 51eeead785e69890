import { randomUUID } from "node:crypto";
import { type ActorStore, isTidemarkError, type StoreInTransaction } from "@tidemark/core";
import { actorsOf, ALICE, eventsOf, eventsWith, latest, momentOf, save, saveAll } from "../actors.ts";
import { assert, collect, FULFILLED, fulfils, outcome, promptly, refuses } from "../expect.ts";
import { type Law, override } from "../law.ts";
import { decidesBy, saysLostIsStored } from "../lies/actors.ts";
import { beginsAnew, mintsEachTime } from "../lies/identities.ts";
import { takesOutagesForBugs } from "../lies/server.ts";
import { expectLoss, overLine, SOON_MS } from "../line.ts";

type Stores = Pick<StoreInTransaction, "actorStores" | "eventStores">;

const outageLaws: readonly Law[] = [
  {
    id: "lifetime/server/lost/actors",
    promise: "While the server cannot be reached every call on actors fails with UNAVAILABLE, and does nothing.",
    when: { server: true },
    tooth: takesOutagesForBugs,
    check: async (bench) => {
      const { line, store } = await overLine(bench);
      const actors = await actorsOf(bench.store);
      await actors.mapIds("s-1", ALICE);
      await saveAll(actors, { "a:1": "", "a:2": "a:1", "b:1": "" });
      const calls = await callsOn(store);
      await line.cut();
      for (const call of calls) {
        await promptly(`${String(call)} without a server`, refuses("UNAVAILABLE", call()), SOON_MS);
      }
      assert.deepEqual(await latest(actors), ["a:2", "b:1"]);
      const moved = [actors.getSystemId(ALICE), actors.getSystemId("carol"), actors.getActorId("s-2")];
      assert.deepEqual(await Promise.all(moved), ["s-1", undefined, undefined]);
      assert.deepEqual(await (await eventsOf(bench.store)).getEventsFor("s-1"), []);
      await line.mend();
      for (const call of calls) {
        await promptly(`${String(call)} with the server back`, fulfils(call(), "The server is back"), SOON_MS);
      }
    },
  },
  {
    id: "lifetime/server/lost/actors/half-way",
    promise: "A snapshot whose connection is lost while it is stored is refused, and the actor is as it was before.",
    when: { server: true },
    tooth: saysLostIsStored,
    check: async (bench) => {
      let cut = (): void => undefined;
      const { line, store } = await overLine(bench, {}, (real) =>
        override(real, () => ({
          snapshots: override(real.snapshots, (port) => ({
            store: (actor, vector, decide, op) =>
              port.store(
                actor,
                vector,
                (state) => {
                  cut();
                  return decide(state);
                },
                op,
              ),
          })),
        })),
      );
      const [actors, cutOff] = [await actorsOf(bench.store), await actorsOf(store)];
      await saveAll(actors, { "a:1": "", "b:1": "" });
      cut = () => void line.cut();
      await promptly("Storing ends", refuses("UNAVAILABLE", save(cutOff, "a:2;b:1", { _ancestor: "" })), SOON_MS);
      cut = () => undefined;
      await line.mend();
      assert.deepEqual(await latest(actors), ["a:1", "b:1"]);
      assert.equal(await actors.fetchByVector(ALICE, "a:2;b:1"), undefined);
      await promptly("The actor is free", fulfils(save(actors, "a:2", { _ancestor: "a:1" }), "Others store"), SOON_MS);
      await fulfils(save(cutOff, "a:2;b:1", { _ancestor: "" }), "It is stored when the server is back");
      assert.equal(await latest(actors), "a:2;b:1");
    },
  },
];

const acknowledgementLaws: readonly Law[] = [
  {
    id: "lifetime/server/lost-ack/snapshot",
    promise:
      "A snapshot whose answer is lost on its way from the server is there once, and storing it again is no error.",
    when: { server: true },
    tooth: decidesBy("takes a snapshot that it has stored for another one", ({ stored, heads }) => ({
      heads,
      stored: stored && { ...stored, state: "{}" },
    })),
    check: async (bench) => {
      const { line, store } = await overLine(bench);
      const [actors, seen] = [await actorsOf(store), await actorsOf(bench.store)];
      await saveAll(actors, { "a:1": "", "b:1": "" });
      const mark = randomUUID();
      const storing = (): Promise<void> => save(actors, "a:1;b:2", { mark, _ancestor: "b:1" });
      const loss = await line.loseAcknowledgement(mark);
      expectAnswer(await outcome(storing()));
      expectLoss(loss);
      assert.equal(await latest(seen), "a:1;b:2");
      await fulfils(storing(), "The same again is no change");
      assert.deepEqual((await seen.inspect(ALICE)).snapshots, 3);
      assert.equal((await seen.fetchByVector(ALICE, "a:1;b:2"))?.state["mark"], mark);
    },
  },
  {
    id: "lifetime/server/lost-ack/mapping",
    promise:
      "A mapping whose answer is lost on its way from the server is there once: made again, it began when it began.",
    when: { server: true },
    tooth: beginsAnew,
    check: async (bench) => {
      const { line, store } = await overLine(bench);
      const [actors, seen] = [await actorsOf(store), await actorsOf(bench.store)];
      const systemId = randomUUID();
      const loss = await line.loseAcknowledgement(systemId);
      expectAnswer(await outcome(actors.mapIds(systemId, ALICE)));
      expectLoss(loss);
      const moment = await momentOf(bench.store);
      await fulfils(actors.mapIds(systemId, ALICE), "The same again is no change");
      await expectMapped(actors, systemId, moment);
      await expectMapped(seen, systemId, moment);
    },
  },
  {
    id: "lifetime/server/lost-ack/resolve",
    promise: "A new actor's id whose answer is lost on its way from the server is the one that the next call resolves.",
    when: { server: true },
    tooth: mintsEachTime,
    check: async (bench) => {
      const { line, store } = await overLine(bench);
      const [actors, seen] = [await actorsOf(store), await actorsOf(bench.store)];
      const systemId = randomUUID();
      const loss = await line.loseAcknowledgement(systemId);
      expectAnswer(await outcome(actors.identities.resolve(ALICE, () => systemId)));
      expectLoss(loss);
      const moment = await momentOf(bench.store);
      assert.equal(await actors.identities.resolve(ALICE, () => "another"), systemId);
      assert.equal(await seen.identities.resolve(ALICE, () => "yet another"), systemId);
      await expectMapped(seen, systemId, moment);
    },
  },
];

export const actorOutageLaws: readonly Law[] = [...outageLaws, ...acknowledgementLaws];

/** A call of each method. A method that these stores get and that is missing here does not compile. */
async function callsOn(store: Stores): Promise<readonly (() => Promise<unknown>)[]> {
  const [actors, events] = [await actorsOf(store), await eventsOf(store)];
  const ofActors: Readonly<Record<Exclude<keyof ActorStore, "actorType">, () => Promise<unknown>>> = {
    fetch: () => actors.fetch(ALICE),
    fetchByVector: () => actors.fetchByVector(ALICE, "a:1"),
    fetchByLastEventId: () => actors.fetchByLastEventId(ALICE, "e"),
    fetchByLastEventDate: () => actors.fetchByLastEventDate(ALICE, new Date(0)),
    store: () => save(actors, "a:3", { _ancestor: "a:2" }),
    findAncestor: () => actors.findAncestor({ systemId: "s-1" }, [{ vector: "a:2" }, { vector: "b:1" }]),
    chain: () => collect(actors.chain(ALICE, "a:2")),
    links: () => collect(actors.links(ALICE)),
    inspect: () => actors.inspect(ALICE),
    mapIds: () => actors.mapIds("s-2", ALICE),
    getSystemId: () => actors.getSystemId(ALICE, new Date(0)),
    getActorId: () => actors.getActorId("s-1"),
    identities: () => actors.identities.resolve("carol"),
  };
  return [
    ...Object.values(ofActors),
    () => events.storeEvents("s-1", eventsWith("e")),
    () => events.storeEventPack("s-1", "a:1", eventsWith("e")),
    () => events.getEventPackFor("s-1", "a:1"),
  ];
}

/** Whether it asks again by itself or leaves that to the caller. */
function expectAnswer(end: unknown): void {
  if (end !== FULFILLED && !isTidemarkError(end, "UNAVAILABLE")) throw end;
}

/** Since then or before, and now. */
async function expectMapped(actors: ActorStore, systemId: string, moment: Date): Promise<void> {
  assert.deepEqual([await actors.getSystemId(ALICE, moment), await actors.getSystemId(ALICE)], [systemId, systemId]);
  assert.deepEqual([await actors.getActorId(systemId, moment), await actors.getActorId(systemId)], [ALICE, ALICE]);
}

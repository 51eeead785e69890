import { type Anomaly, heal, type Store } from "@tidemark/core";
import {
  ACCOUNT,
  actorsOf,
  ALICE,
  ancestorOf,
  eventsOf,
  eventsWith,
  headsOf,
  idsOf,
  latest,
  listening,
  save,
  saveAll,
  saveChain,
  watched,
  withoutActor,
} from "../actors.ts";
import { assert, collect, fulfils } from "../expect.ts";
import { type Law, override } from "../law.ts";
import {
  actorsThat,
  eventStoresThat,
  looksSystemIdsUp,
  packsThat,
  sharesWhatItVisited,
  snapshotsThat,
  throwsOn,
  writesRows,
} from "../lies/actors.ts";

const ancestorLaws: readonly Law[] = [
  {
    id: "actors/ancestor/nearest",
    promise: "The ancestor of two siblings is the nearest snapshot that both were made from, however many lie between.",
    tooth: snapshotsThat("leaves every second snapshot out of a chain", (port) => ({
      chain: async (actor, vector, limit, op) =>
        (await port.chain(actor, vector, limit, op)).filter((_link, index) => index % 2 === 0),
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await saveAll(actors, FORK);
      assert.equal(await ancestorOf(actors, ["a:4", "a:2;b:1"]), "a:2");
      assert.equal(await ancestorOf(actors, ["a:2;b:1", "a:4"]), "a:2");
      assert.equal(await ancestorOf(actors, ["a:3", "a:2;b:3"]), "a:2");
      const found = await actors.findAncestor(ALICE, await headsOf(actors));
      assert.deepEqual(found, await actors.fetchByVector(ALICE, "a:1"));
    },
  },
  {
    id: "actors/ancestor/nearest/many",
    promise: "The ancestor of many siblings is the nearest snapshot that all of them were made from.",
    tooth: actorsThat("looks at two siblings", ({ findAncestor }) => ({
      findAncestor: (actorId, siblings, ancestry, op) => findAncestor(actorId, siblings.slice(0, 2), ancestry, op),
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await saveAll(actors, FORK);
      assert.deepEqual(await latest(actors), ["a:1;c:1", "a:2;b:3", "a:4"]);
      assert.equal(await ancestorOf(actors, ["a:2;b:3", "a:4", "a:1;c:1"]), "a:1");
      assert.equal(await ancestorOf(actors, ["a:4", "a:2;b:3", "a:1;c:1", "a:2"]), "a:1");
    },
  },
  {
    id: "actors/ancestor/own",
    promise: "A chain begins with its own snapshot: where one sibling was made from another, that is the ancestor.",
    tooth: snapshotsThat("begins chains behind their own snapshot", (port) => ({
      chain: async (actor, vector, limit, op) => (await port.chain(actor, vector, limit, op)).slice(1),
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await saveAll(actors, FORK);
      assert.equal(await ancestorOf(actors, ["a:4", "a:3"]), "a:3");
      assert.equal(await ancestorOf(actors, ["a:4"]), "a:4");
      assert.equal(await ancestorOf(actors, ["a:4", "a:4"]), "a:4");
    },
  },
  {
    id: "actors/ancestor/convergence",
    promise: "Chains that meet are no circle: each remembers for itself where it has been.",
    tooth: sharesWhatItVisited,
    check: async ({ store }) => {
      const { actors, told } = await listening(store);
      await saveAll(actors, FORK);
      assert.equal(await ancestorOf(actors, ["a:4", "a:2;b:3", "a:2;b:1"]), "a:2");
      assert.deepEqual(told, []);
      assert.deepEqual((await actors.inspect(ALICE)).anomalies, []);
    },
  },
  {
    id: "actors/ancestor/none",
    promise: "Siblings that share nothing have no ancestor, nor has what is not stored or no siblings at all.",
    tooth: actorsThat("gives the first sibling where there is no ancestor", (actors) => ({
      findAncestor: async (actorId, siblings, ancestry, op) => {
        const found = await actors.findAncestor(actorId, siblings, ancestry, op);
        const [first] = siblings;
        return found ?? (first && actors.fetchByVector(actorId, first.vector, op));
      },
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await saveAll(actors, { "a:1": "", "a:2": "a:1", "b:1": "", "b:2": "b:1" });
      assert.equal(await ancestorOf(actors, ["a:2", "b:2"]), undefined);
      assert.equal(await ancestorOf(actors, ["a:2", "c:1"]), undefined);
      assert.equal(await ancestorOf(actors, ["c:1"]), undefined);
      assert.equal(await ancestorOf(actors, []), undefined);
      assert.equal(await ancestorOf(actors, ["a:2", "a:1"], [], "nobody"), undefined);
    },
  },
  {
    id: "actors/ancestor/empty-vector",
    promise: "A snapshot made from none shares nothing; one made from a stored snapshot of the empty vector does.",
    tooth: writesRows("takes the empty vector for nothing", ({ ancestor }) => ({ ancestor: ancestor || undefined })),
    check: async ({ store }) => {
      const { actors, told } = await listening(store);
      await saveAll(actors, { "a:1": "", "b:1": "" });
      assert.equal(await ancestorOf(actors, ["a:1", "b:1"]), undefined);
      await save(actors, "");
      assert.equal(await ancestorOf(actors, ["a:1", "b:1"]), "");
      assert.deepEqual(told, []);
    },
  },
  {
    id: "actors/ancestor/visited",
    promise: "Vectors in `ancestry` are neither returned nor walked through.",
    tooth: actorsThat("forgets what it was told to leave out", ({ findAncestor }) => ({
      findAncestor: (actorId, siblings, _ancestry, op) => findAncestor(actorId, siblings, [], op),
    })),
    check: async ({ store }) => {
      const { actors, told } = await listening(store);
      await saveAll(actors, FORK);
      const siblings = ["a:4", "a:2;b:3"];
      assert.equal(await ancestorOf(actors, siblings, ["a:2"]), undefined);
      assert.equal(await ancestorOf(actors, siblings, ["a:1"]), "a:2");
      assert.equal(await ancestorOf(actors, siblings, ["a:3"]), undefined);
      assert.equal(await ancestorOf(actors, siblings, ["a:4"]), undefined);
      assert.equal(await ancestorOf(actors, siblings, ["z:0;a:2"]), undefined);
      assert.equal(await ancestorOf(actors, siblings, ["c:1"]), "a:2");
      assert.deepEqual(told, []);
    },
  },
  {
    id: "actors/ancestor/cycle",
    promise: "A chain that comes back to itself ends there, and is reported once, named by its least vector.",
    tooth: throwsOn("cycle", "throws where a chain comes back to itself"),
    check: async ({ store }) => {
      const { actors, told } = await listening(store);
      await saveAll(actors, { "a:1": "a:3", "a:2": "a:1", "a:3": "a:2", "b:1": "", "a:4": "a:3", "a:3;c:1": "a:2" });
      told.splice(0);
      const ending = ancestorOf(actors, ["a:4", "b:1"]);
      assert.equal(await fulfils(ending, "A circle is no error"), undefined);
      const cycle = { kind: "cycle", vector: "a:1", ancestor: "a:3" };
      const backwards = { kind: "not-after-ancestor", vector: "a:1", ancestor: "a:3" };
      assert.deepEqual(told.splice(0), [backwards, cycle]);
      assert.equal(await fulfils(ancestorOf(actors, ["a:4", "a:3;c:1"]), "A circle is no error"), "a:2");
      assert.deepEqual(
        (await collect(actors.chain(ALICE, "a:2"))).map(({ vector }) => vector),
        ["a:2", "a:1", "a:3"],
      );
    },
  },
  {
    id: "actors/ancestor/missing-link",
    promise: "A chain ends where an ancestor is not stored, and that is reported; the other chains go on.",
    tooth: throwsOn("missing-link", "throws where an ancestor is not stored"),
    check: async ({ store }) => {
      const { actors, told } = await listening(store);
      await saveAll(actors, { "a:3": "a:2", "a:3;b:1": "a:3", "a:4": "a:3", "a:1": "", "c:1": "a:1" });
      told.splice(0);
      assert.equal(await fulfils(ancestorOf(actors, ["a:4", "a:3;b:1"]), "A gap is no error"), "a:3");
      assert.deepEqual(told.splice(0), []);
      assert.equal(await fulfils(ancestorOf(actors, ["a:4", "c:1"]), "A gap is no error"), undefined);
      const missing = { kind: "missing-link", vector: "a:3", ancestor: "a:2" };
      assert.deepEqual(
        told.filter((anomaly) => (anomaly as Anomaly).kind === "missing-link"),
        [missing],
      );
      await save(actors, "a:2", { _ancestor: "a:1" });
      assert.equal(await ancestorOf(actors, ["a:4", "c:1"]), "a:1");
    },
  },
  {
    id: "actors/ancestor/reported",
    promise:
      "What is wrong with an ancestry is reported once a call and listed by `inspect`; what the listener throws is its own.",
    tooth: actorsThat("finds nothing wrong with any ancestry", ({ inspect }) => ({
      inspect: async (actorId, op) => ({ ...(await inspect(actorId, op)), anomalies: [] }),
    })),
    check: async ({ store }) => {
      const told: Anomaly[] = [];
      const onAnomaly = (anomaly: Anomaly): never => {
        told.push(anomaly);
        throw new RangeError("not my business");
      };
      const actors = await store.actorStores.create(ACCOUNT, { onAnomaly });
      const history = { "a:1": "gone:1", "b:1": "b:2", "b:2": "b:1", "c:1": "a:1", "d:2": "c:1" };
      await fulfils(saveAll(actors, history), "Anomalies are no errors");
      const expected = [
        { kind: "not-after-ancestor", vector: "a:1", ancestor: "gone:1" },
        { kind: "missing-link", vector: "a:1", ancestor: "gone:1" },
        { kind: "not-after-ancestor", vector: "b:1", ancestor: "b:2" },
        { kind: "not-after-ancestor", vector: "c:1", ancestor: "a:1" },
        { kind: "not-after-ancestor", vector: "d:2", ancestor: "c:1" },
        { kind: "cycle", vector: "b:1", ancestor: "b:2" },
      ];
      const { anomalies, snapshots, more, systemId } = await actors.inspect(ALICE);
      assert.deepEqual(anomalies.map(withoutActor), expected);
      assert.deepEqual([snapshots, more, systemId], [5, false, ALICE]);
      assert.ok(anomalies.every(({ actor }) => actor.type === ACCOUNT && actor.systemId === ALICE));
      told.splice(0);
      await fulfils(ancestorOf(actors, ["d:2", "c:1", "b:2"]), "Anomalies are no errors");
      assert.deepEqual(told.map(({ kind, vector }) => `${kind} ${vector}`).toSorted(), [
        "cycle b:1",
        "missing-link a:1",
        "not-after-ancestor a:1",
        "not-after-ancestor b:1",
        "not-after-ancestor c:1",
        "not-after-ancestor d:2",
      ]);
    },
  },
  {
    id: "actors/ancestor/deep",
    promise: "Chains of 10 000 snapshots are walked in a few reads, none of them of more than 1 000 links.",
    tooth: {
      lie: "asks for one link after the other",
      adapter: (real) =>
        override(real, () => ({
          snapshots: override(real.snapshots, (port) => ({
            chain: async (actor, vector, limit, op) => {
              const links: Awaited<ReturnType<typeof port.chain>>[number][] = [];
              for (let next: string | undefined = vector; next !== undefined && links.length < limit;) {
                const [link] = await port.chain(actor, next, 1, op);
                if (link === undefined) break;
                links.push(link);
                next = link.ancestor;
              }
              return links;
            },
          })),
        })),
    },
    check: async (bench) => {
      await saveChain(bench.adapter(), 10_000);
      const { store, watch } = await watched(bench);
      const actors = await actorsOf(store);
      await saveAll(actors, { "b:1": "a:1", "a:9998;c:1": "a:9998", "d:1": "" });
      watch.calls = watch.most = 0;
      assert.equal(await ancestorOf(actors, ["a:10000", "b:1"]), "a:1");
      assert.ok(watch.calls <= 30, `${watch.calls} reads for 10 000 links.`);
      assert.ok(watch.most <= 1_000, `${watch.most} links at once.`);
      watch.calls = 0;
      assert.equal(await ancestorOf(actors, ["a:10000", "d:1"]), undefined);
      assert.ok(watch.calls <= 30, `${watch.calls} reads for 10 000 links.`);
      watch.calls = watch.rows = 0;
      assert.equal(await ancestorOf(actors, ["a:10000", "a:9998;c:1"]), "a:9998");
      assert.ok(watch.calls <= 4 && watch.rows <= 100, `${watch.rows} links to find what is near.`);
      assert.equal((await collect(actors.chain(ALICE, "a:10000"))).length, 10_000);
      const { snapshots, anomalies } = await actors.inspect(ALICE);
      assert.deepEqual(
        [snapshots, anomalies.map(withoutActor)],
        [10_003, [{ kind: "not-after-ancestor", vector: "b:1", ancestor: "a:1" }]],
      );
    },
  },
  {
    id: "actors/links",
    promise:
      "`links` gives vector and ancestor of every snapshot once, ascending by the vectors' bytes, page after page.",
    tooth: snapshotsThat("begins each page of links with the last link of the page before", (port) => {
      let last: string | undefined;
      return {
        links: async (actor, after, limit, op) => {
          const page = await port.links(actor, after === undefined ? undefined : last, limit, op);
          last = page.at(-2)?.vector;
          return page;
        },
      };
    }),
    check: async (bench) => {
      await saveChain(bench.adapter(), 1_001);
      const actors = await actorsOf(bench.store);
      await saveAll(actors, { "Z:1": "", "é:1": "a:7", "": "" });
      const vectors = Array.from({ length: 1_001 }, (_, n) => `a:${n + 1}`).toSorted();
      const links = await collect(actors.links(ALICE));
      assert.deepEqual(
        links.map(({ vector }) => vector),
        ["", "Z:1", ...vectors, "é:1"],
      );
      assert.ok(
        links.slice(2, -1).every(({ vector, ancestor }) => {
          const n = Number(vector.slice(2));
          return ancestor === (n === 1 ? "" : `a:${n - 1}`);
        }),
      );
      assert.deepEqual([links[0]?.ancestor, links.at(-1)?.ancestor], [undefined, "a:7"]);
    },
  },
];

const healingLaws: readonly Law[] = [
  {
    id: "actors/heal/two-nodes",
    promise:
      "Two nodes that heal the same siblings replay the same events in the same order, and store the same snapshot.",
    tooth: packsThat("keeps packs of the latest snapshots only", (port) => ({
      get: async (actor, vector, op) => (vector === "a:1;b:1" ? undefined : port.get(actor, vector, op)),
    })),
    check: async ({ store, open }) => {
      await cutOff(store);
      const nodes = [store, await open()];
      const actors = await actorsOf(store);
      for (const node of nodes) {
        const sources = { actors: await actorsOf(node), events: await eventsOf(node) };
        const healing = await heal(sources, await headsOfBoth(store));
        assert.deepEqual([healing.ancestor?.vector, healing.vector, healing.withoutPack], ["a:1", "a:2;b:2", []]);
        assert.deepEqual(idsOf(healing.events), ["02", "03", "04", "05", "07"]);
        assert.deepEqual(
          healing.events.map(({ data }) => data),
          idsOf(healing.events).map((id) => ({ id })),
        );
        const state = { _ancestor: "a:1", replayed: idsOf(healing.events) };
        await fulfils(sources.actors.store(ALICE, "healed", healing.vector, state), "Both store the same");
      }
      assert.equal(await latest(actors), "a:2;b:2");
    },
  },
  {
    id: "actors/heal/missing-pack",
    promise: "Where a pack is missing, healing says so and takes what the log has.",
    tooth: eventStoresThat("makes up an empty pack where there is none", ({ getEventPackFor }) => ({
      getEventPackFor: async (id, vector, op) => (await getEventPackFor(id, vector, op)) ?? [],
    })),
    check: async ({ store }) => {
      await cutOff(store, ["a:1;b:1"]);
      const sources = { actors: await actorsOf(store), events: await eventsOf(store) };
      const healing = await heal(sources, await headsOfBoth(store));
      assert.deepEqual(healing.withoutPack, ["a:1;b:1"]);
      // 03 and 04 were in that pack; the log has 04.
      assert.deepEqual(idsOf(healing.events), ["02", "04", "05", "07"]);
    },
  },
  {
    id: "actors/heal/below-missing-pack",
    promise: "A missing pack does not keep the packs of the snapshots below it from being replayed.",
    tooth: packsThat("finds no pack any more once one was missing", (port) => {
      let missing = false;
      return {
        get: async (actor, vector, op) => {
          const pack = missing ? undefined : await port.get(actor, vector, op);
          missing = pack === undefined;
          return pack;
        },
      };
    }),
    check: async ({ store }) => {
      await cutOff(store, ["a:1;b:2"]);
      const sources = { actors: await actorsOf(store), events: await eventsOf(store) };
      const healing = await heal(sources, await headsOfBoth(store));
      assert.deepEqual(healing.withoutPack, ["a:1;b:2"]);
      // 05 was in that pack; 03 is in the one below it, and not in the log.
      assert.deepEqual(idsOf(healing.events), ["02", "03", "04", "07"]);
    },
  },
  {
    id: "actors/heal/spelled-alike",
    promise: "Siblings are healed by their own history, also where another actor's business id is their system id.",
    tooth: looksSystemIdsUp,
    check: async ({ store }) => {
      await cutOff(store);
      const sources = { actors: await actorsOf(store), events: await eventsOf(store) };
      const siblings = await headsOfBoth(store);
      await sources.actors.mapIds("s-2", ALICE);
      await saveAll(sources.actors, { "c:1": "", "a:2": "c:1", "a:1;b:2": "c:1" });
      const healing = await heal(sources, siblings);
      assert.deepEqual([healing.systemId, healing.ancestor?.vector, healing.withoutPack], [ALICE, "a:1", []]);
      assert.deepEqual(idsOf(healing.events), ["02", "03", "04", "05", "07"]);
      await sources.actors.store(healing, "healed", healing.vector, { _ancestor: "a:1" });
      assert.equal(await latest(sources.actors, healing), "a:2;b:2");
    },
  },
  {
    id: "actors/heal/in-transaction",
    promise: "Siblings can be healed inside of a transaction, by what it has written itself.",
    tooth: {
      lie: "shows a transaction the packs that were there before it",
      adapter: (real) =>
        override(real, () => ({
          within: (tx) =>
            override(real.within(tx), (port) => ({
              packs: override(port.packs, () => ({ get: async () => undefined })),
            })),
        })),
    },
    check: async ({ store }) => {
      await store.transaction(async (_tx, inside) => {
        await cutOff(inside);
        const sources = { actors: await actorsOf(inside), events: await eventsOf(inside) };
        const healing = await heal(sources, await headsOfBoth(inside));
        assert.deepEqual(idsOf(healing.events), ["02", "03", "04", "05", "07"]);
        await sources.actors.store(ALICE, "healed", healing.vector, { _ancestor: "a:1" });
      });
      assert.equal(await latest(await actorsOf(store)), "a:2;b:2");
    },
  },
];

export const ancestryLaws: readonly Law[] = [...ancestorLaws, ...healingLaws];

/** Three siblings: a:4 and a:2;b:3 parted at a:2, a:1;c:1 before that. */
const FORK = {
  "a:1": "",
  "a:2": "a:1",
  "a:3": "a:2",
  "a:4": "a:3",
  "a:2;b:1": "a:2",
  "a:2;b:2": "a:2;b:1",
  "a:2;b:3": "a:2;b:2",
  "a:1;c:1": "a:1",
};

/**
 * Two nodes went on from a:1 without each other, one of them by two snapshots. The log has the events of one of them, and
 * one that no snapshot has; packs have all, but for those without.
 */
async function cutOff(store: Pick<Store<never>, "actorStores" | "eventStores">, without: readonly string[] = []) {
  const [actors, events] = [await actorsOf(store), await eventsOf(store)];
  await events.storeEvents(ALICE, eventsWith("00", "01", "02", "04", "07"));
  const history = [
    { vector: "a:1", ancestor: "", ids: ["00", "01"] },
    { vector: "a:2", ancestor: "a:1", ids: ["02"] },
    { vector: "a:1;b:1", ancestor: "a:1", ids: ["04", "03"] },
    { vector: "a:1;b:2", ancestor: "a:1;b:1", ids: ["05"] },
  ];
  for (const { vector, ancestor, ids } of history) {
    await save(actors, vector, { _ancestor: ancestor, _lastEventId: ids.toSorted().at(-1) });
    if (!without.includes(vector)) await events.storeEventPack(ALICE, vector, eventsWith(...ids));
  }
}

/** The siblings that {@link cutOff} leaves, also when they are healed meanwhile. */
async function headsOfBoth(store: Pick<Store<never>, "actorStores">) {
  const actors = await actorsOf(store);
  const found = await Promise.all(["a:1;b:2", "a:2"].map((vector) => actors.fetchByVector(ALICE, vector)));
  return found.filter((snapshot) => snapshot !== undefined);
}

import { randomInt } from "node:crypto";
import { type ActorStoreOptions, type Serializer, vectorClock } from "@tidemark/core";
import {
  ACCOUNT,
  actorsOf,
  ALICE,
  headsOf,
  latest,
  listening,
  save,
  saveAll,
  saveChain,
  SOME_TIME,
  watched,
} from "../actors.ts";
import { assert, atOnce, collect, elsewhere, eventually, fulfils, later, promptly, refuses, turn } from "../expect.ts";
import { type Law, override } from "../law.ts";
import {
  actorsThat,
  comparesWhatJsonShows,
  decidesBeforeItWaits,
  decidesBy,
  looksSystemIdsUp,
  mistakes,
  snapshotsThat,
  storesLater,
  writesRows,
  writesSnapshots,
} from "../lies/actors.ts";

const fetchLaws: readonly Law[] = [
  {
    id: "actors/fetch/none",
    promise: "An actor without snapshots has no latest one: `fetch` gives undefined.",
    tooth: actorsThat("gives an empty array for an actor without snapshots", ({ fetch }) => ({
      fetch: async (actorId, op) => (await fetch(actorId, op)) ?? [],
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await save(actors, "a:1", {}, "bob");
      assert.equal(await actors.fetch(ALICE), undefined);
      assert.equal(await actors.fetchByVector(ALICE, "a:1"), undefined);
    },
  },
  {
    id: "actors/fetch/latest",
    promise:
      "`fetch` gives the snapshot whose vector is after those of all others, whole, however often one is stored.",
    tooth: writesSnapshots("keeps the first snapshot for the latest", (decided, { heads }) => ({
      ...decided,
      isHead: heads.length === 0,
      dominated: [],
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await save(actors, "a:1");
      await save(actors, "a:1;b:1");
      await actors.store(ALICE, "the third", "b:2;a:3", { balance: 7, _lastEventId: "e" });
      assert.deepEqual(await actors.fetch(ALICE), {
        systemId: ALICE,
        snapshotId: "the third",
        vector: "a:3;b:2",
        version: 5,
        ancestor: "a:1;b:1",
        lastEventId: "e",
        lastEventOn: undefined,
        state: { balance: 7, _lastEventId: "e" },
      });
    },
  },
  {
    id: "actors/fetch/long-history",
    promise: "After a thousand snapshots `fetch` still asks for the latest ones and for no others.",
    tooth: snapshotsThat("looks through the history for the latest snapshot", (port) => ({
      heads: async (actor, op) => {
        const links = await port.links(actor, undefined, 10_000, op);
        const last = links.findLast((link) => !links.some(({ ancestor }) => ancestor === link.vector));
        const row = last && (await port.get(actor, last.vector, op));
        return row === undefined ? [] : [row];
      },
    })),
    check: async (bench) => {
      await saveChain(bench.adapter(), 1_000);
      const { store, watch } = await watched(bench);
      const actors = await actorsOf(store);
      assert.equal(await latest(actors), "a:1000");
      assert.deepEqual([watch.calls, watch.rows], [1, 1]);
      await save(actors, "a:999;b:1", { _ancestor: "a:999" });
      watch.calls = watch.rows = 0;
      assert.deepEqual(await latest(actors), ["a:1000", "a:999;b:1"]);
      assert.deepEqual([watch.calls, watch.rows], [1, 2]);
    },
  },
  {
    id: "actors/fetch/system-id",
    promise: "An actor is found by its business id and by its system id, whichever its snapshots were stored by.",
    tooth: {
      lie: "keeps snapshots by the id that they were stored by",
      adapter: (real) =>
        override(real, () => ({ identities: override(real.identities, () => ({ systemId: async () => undefined })) })),
    },
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await actors.mapIds("s-1", ALICE);
      await save(actors, "a:1");
      await save(actors, "a:2", {}, "s-1");
      assert.equal(await latest(actors), "a:2");
      assert.equal(await latest(actors, "s-1"), "a:2");
      assert.equal((await actors.fetchByVector("s-1", "a:1"))?.systemId, "s-1");
    },
  },
  {
    id: "actors/fetch/spelled-alike",
    promise:
      "An actor that is named by its system id is that one, also where another one's business id is spelled like it.",
    tooth: looksSystemIdsUp,
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      const mine = { systemId: "s-1" };
      await actors.mapIds("s-1", ALICE);
      await actors.mapIds("s-2", "s-1");
      await save(actors, "b:1", {}, "s-1");
      const state = { at: "a:1", _id: "s-2", _lastEventId: "e", _lastEventAppliedOn: new Date(SOME_TIME) };
      await actors.store(mine, "snapshot", "a:1", state);
      await actors.store(mine, "snapshot", "a:2", { _ancestor: "a:1" });
      const found = await Promise.all([
        actors.fetchByVector(mine, "a:1"),
        actors.fetchByLastEventId(mine, "e"),
        actors.fetchByLastEventDate(mine, new Date(SOME_TIME)),
        actors.findAncestor(mine, [{ vector: "a:1" }, { vector: "a:2" }]),
      ]);
      for (const snapshot of found) assert.deepEqual([snapshot?.systemId, snapshot?.vector], ["s-1", "a:1"]);
      assert.equal(await latest(actors, mine), "a:2");
      assert.deepEqual([await latest(actors, "s-1"), await latest(actors, "s-2")], ["b:1", "b:1"]);
      const link = { vector: "a:1", ancestor: undefined };
      const last = { vector: "a:2", ancestor: "a:1" };
      assert.deepEqual(await collect(actors.links(mine)), [link, last]);
      assert.deepEqual(await collect(actors.chain(mine, "a:2")), [last, link]);
      const { systemId, snapshots } = await actors.inspect(mine);
      assert.deepEqual([systemId, snapshots], ["s-1", 2]);
      await refuses("INVALID_ARGUMENT", actors.fetch({ systemId: "" }));
    },
  },
];

const siblingLaws: readonly Law[] = [
  {
    id: "actors/siblings/two",
    promise: "Of two snapshots whose vectors are concurrent `fetch` gives both, in an array.",
    tooth: snapshotsThat("gives the one of the highest version", (port) => ({
      heads: async (actor, op) => (await port.heads(actor, op)).toSorted((a, b) => b.version - a.version).slice(0, 1),
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await saveAll(actors, { "a:1": "", "a:2": "a:1", "a:1;b:1": "a:1" });
      assert.deepEqual(await latest(actors), ["a:1;b:1", "a:2"]);
      assert.deepEqual(
        (await headsOf(actors)).map(({ ancestor, state }) => [ancestor, state["at"]]),
        [
          ["a:1", "a:1;b:1"],
          ["a:1", "a:2"],
        ],
      );
    },
  },
  {
    id: "actors/siblings/three",
    promise:
      "As many siblings as there are come back, ascending by their vectors' bytes, in whatever order they were stored.",
    tooth: snapshotsThat("sorts siblings as people do", (port) => ({
      heads: async (actor, op) =>
        (await port.heads(actor, op)).toSorted((a, b) => a.vector.localeCompare(b.vector, "en")),
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      for (const node of ["é", "a", "b", "Z", "e\u0301", "a ", "\u{1f30a}"]) {
        await save(actors, `${node}:1`, { _ancestor: "" });
      }
      assert.deepEqual(await latest(actors), [...["Z:1", "a :1", "a:1", "b:1", "e\u0301:1", "é:1", "\u{1f30a}:1"]]);
    },
  },
  {
    id: "actors/siblings/same-version",
    promise: "Siblings are told apart by their vectors, also when their counters come to the same sum.",
    tooth: writesSnapshots("has one snapshot of each version", (decided, { heads }) => ({
      ...decided,
      dominated: heads.filter((head) => vectorClock.version(head) <= decided.row.version),
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await saveAll(actors, { "a:2;b:1": "", "a:1;b:2": "", "c:3": "" });
      assert.deepEqual(await latest(actors), ["a:1;b:2", "a:2;b:1", "c:3"]);
    },
  },
  {
    id: "actors/siblings/healed",
    promise: "A snapshot whose vector is after those of all siblings makes `fetch` single again.",
    tooth: writesSnapshots("keeps siblings that were healed", (decided) => ({ ...decided, dominated: [] })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await saveAll(actors, { "a:1": "", "b:1": "", "c:1": "" });
      await save(actors, "a:1;b:1;c:1", { _ancestor: "" });
      assert.equal(await latest(actors), "a:1;b:1;c:1");
    },
  },
  {
    id: "actors/siblings/partly-healed",
    promise: "A snapshot ends the siblings whose vectors are before its own, and no others.",
    tooth: writesSnapshots("ends all siblings with a new snapshot", (decided, { heads }) => ({
      ...decided,
      dominated: heads,
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await saveAll(actors, { "a:1": "", "b:1": "", "c:1": "", "d:1": "", "a:1;c:1": "a:1" });
      assert.deepEqual(await latest(actors), ["a:1;c:1", "b:1", "d:1"]);
    },
  },
  {
    id: "actors/siblings/late-old",
    promise: "A snapshot that is stored late, when others are after it, changes nothing but the history.",
    tooth: writesSnapshots("takes the snapshot that was stored last for the latest", (decided) => ({
      ...decided,
      isHead: true,
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await saveAll(actors, { "a:3": "a:2", "a:2": "a:1", "a:3;b:1": "a:3", "a:2;b:1": "a:2", "a:1": "" });
      assert.equal(await latest(actors), "a:3;b:1");
      assert.equal((await actors.fetchByVector(ALICE, "a:1"))?.vector, "a:1");
      await save(actors, "c:1", { _ancestor: "" });
      await save(actors, "b:1", { _ancestor: "" });
      assert.deepEqual(await latest(actors), ["a:3;b:1", "c:1"]);
    },
  },
  {
    id: "actors/siblings/concurrent-store",
    promise: "Of two concurrent snapshots that are stored at once both are there.",
    tooth: writesSnapshots("lets the later one win", (decided, { heads }) => ({ ...decided, dominated: heads })),
    check: async ({ store, open }) => {
      const [mine, theirs] = [await actorsOf(store), await actorsOf(await open())];
      for (let n = 0; n < 10; n++) {
        const id = `actor ${n}`;
        await Promise.all([save(mine, "a:1", { _ancestor: "" }, id), save(theirs, "b:1", { _ancestor: "" }, id)]);
        assert.deepEqual(await latest(mine, id), ["a:1", "b:1"]);
      }
    },
  },
  {
    id: "actors/siblings/concurrent-dominated",
    promise: "Of two snapshots that are stored at once, one of them after the other, only that one is the latest.",
    tooth: decidesBeforeItWaits,
    check: async ({ store, open, database }) => {
      const theirs = await actorsOf(await open());
      for (const [first, second] of [
        ["a:1", "a:1;b:1"],
        ["a:1;b:1", "a:1"],
      ] as const) {
        const id = `after ${first}`;
        const raw = await database.begin();
        await elsewhere(async () => save(await actorsOf(store.within(raw.tx)), first, { _ancestor: "" }, id));
        const waiting = later(save(theirs, second, { _ancestor: "" }, id));
        await atOnce(waiting, 50);
        await raw.commit();
        await waiting;
        assert.equal(await latest(theirs, id), "a:1;b:1");
      }
    },
  },
  {
    id: "actors/siblings/concurrent-processes",
    promise: "Of what two processes store for one actor at once, exactly what nothing else is after is the latest.",
    when: { shared: true },
    tooth: writesSnapshots("takes every snapshot for the latest", (decided) => ({
      ...decided,
      isHead: true,
      dominated: [],
    })),
    check: async ({ store, spawn }) => {
      const children = await Promise.all(["a", "b"].map((node) => spawn("actors/store", { node })));
      await Promise.all(children.map((child) => child.hear("ready")));
      for (const child of children) child.say("go");
      await Promise.all(children.map((child) => child.result()));
      const actors = await actorsOf(store);
      for (let n = 0; n < 5; n++) {
        assert.deepEqual(await latest(actors, `apart ${n}`), ["a:5", "b:5"]);
        assert.equal(await latest(actors, `together ${n}`), "a:5;b:5");
      }
    },
  },
];

const storeLaws: readonly Law[] = [
  {
    id: "actors/store/derives-ancestor",
    promise: "Without `_ancestor` in its state a snapshot was made from the latest one.",
    tooth: writesRows("takes every snapshot for the first", () => ({ ancestor: undefined })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      for (const vector of ["a:1", "a:2", "a:2;b:1"]) await save(actors, vector);
      const links = await collect(actors.links(ALICE));
      assert.deepEqual(links, [
        { vector: "a:1", ancestor: undefined },
        { vector: "a:2", ancestor: "a:1" },
        { vector: "a:2;b:1", ancestor: "a:2" },
      ]);
    },
  },
  {
    id: "actors/store/derives-none",
    promise: "Without `_ancestor` a snapshot whose vector is not after the latest one's was made from none.",
    tooth: writesSnapshots(
      "takes the latest snapshot for what every other one was made from",
      (decided, { heads }) => ({
        ...decided,
        row: { ...decided.row, ancestor: heads[0] },
      }),
    ),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await save(actors, "a:2");
      await save(actors, "a:1");
      await save(actors, "b:1");
      for (const vector of ["a:1", "b:1"]) {
        assert.equal((await actors.fetchByVector(ALICE, vector))?.ancestor, undefined);
      }
      assert.deepEqual(await latest(actors), ["a:2", "b:1"]);
    },
  },
  {
    id: "actors/store/ambiguous-ancestor",
    promise:
      "Where there are siblings, a snapshot without `_ancestor` is refused with their vectors, and nothing is written.",
    tooth: decidesBy("takes the first sibling for what a snapshot was made from", (state) => ({
      ...state,
      heads: state.heads.slice(0, 1),
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await saveAll(actors, { "a:1": "", "b:1": "" });
      const error = await refuses("ANCESTOR_AMBIGUOUS", save(actors, "a:1;b:1"));
      assert.deepEqual(error.details, { actorType: ACCOUNT, systemId: ALICE, heads: ["a:1", "b:1"] });
      assert.equal(await actors.fetchByVector(ALICE, "a:1;b:1"), undefined);
      assert.deepEqual(await latest(actors), ["a:1", "b:1"]);
      await fulfils(save(actors, "a:1;b:1", { _ancestor: "a:1" }), "With _ancestor it is stored");
    },
  },
  {
    id: "actors/store/given-ancestor",
    promise: "An `_ancestor` in the state is what the snapshot was made from, in any form of a vector, stored or not.",
    tooth: writesSnapshots("knows better than the state what a snapshot was made from", (decided, { heads }) => ({
      ...decided,
      row: { ...decided.row, ancestor: heads[0] },
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await saveAll(actors, { "a:1": "", "a:2": "a:1" });
      await save(actors, "a:2;b:1", { _ancestor: { a: 1, z: 0 } });
      await save(actors, "a:2;b:2", { _ancestor: "b:1;a:2" });
      await save(actors, "a:3;b:2", { _ancestor: "c:9" });
      const told = await Promise.all(
        ["a:2;b:1", "a:2;b:2", "a:3;b:2"].map(async (vector) => (await actors.fetchByVector(ALICE, vector))?.ancestor),
      );
      assert.deepEqual(told, ["a:1", "a:2;b:1", "c:9"]);
    },
  },
  {
    id: "actors/store/from-none",
    promise:
      'Made from none, where that was said by `""` or null, is not the same as nothing said: each comes back as it was.',
    tooth: writesRows("takes the empty vector for nothing", ({ ancestor }) => ({ ancestor: ancestor || undefined })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      const ancestors: unknown[] = [];
      for (const [n, state] of [{}, { _ancestor: undefined }, { _ancestor: "" }, { _ancestor: null }].entries()) {
        await save(actors, "a:1", state, `actor ${n}`);
        ancestors.push((await headsOf(actors, `actor ${n}`))[0]?.ancestor);
      }
      assert.deepEqual(ancestors, [undefined, undefined, "", ""]);
    },
  },
  {
    id: "actors/store/empty-vector",
    promise: "The empty vector is one like any other: it is before all, it is found, and it may be an ancestor.",
    tooth: mistakes("has no place for the empty vector", { vector: (vector) => vector || ":0" }),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await save(actors, "");
      assert.equal(await latest(actors), "");
      await save(actors, "a:1");
      assert.equal(await latest(actors), "a:1");
      await saveAll(actors, { "a:1": "", "b:1": "" }, "bob");
      await fulfils(save(actors, "", { _ancestor: "" }, "bob"), "It is after nothing, whatever there is");
      assert.deepEqual(await latest(actors, "bob"), ["a:1", "b:1"]);
      assert.equal((await actors.fetchByVector(ALICE, {}))?.version, 0);
      assert.deepEqual(
        (await collect(actors.chain(ALICE, "a:1"))).map(({ vector }) => vector),
        ["a:1", ""],
      );
    },
  },
  {
    id: "actors/store/history",
    promise: "Every snapshot that was ever stored stays as it was, and is found by its vector, written in any way.",
    tooth: snapshotsThat("forgets snapshots that others are after", (port) => ({
      get: async (actor, vector, op) => (await port.heads(actor, op)).find((head) => head.vector === vector),
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      const kept: unknown[] = [];
      const vectors = ["a:1", "a:2", "a:2;b:1", "a:2;b:2", "a:2;c:1"];
      await saveAll(actors, { "a:1": "", "a:2": "a:1", "a:2;b:1": "a:2", "a:2;b:2": "a:2;b:1", "a:2;c:1": "a:2" });
      for (const vector of vectors) kept.push(await actors.fetchByVector(ALICE, vector));
      assert.deepEqual(
        kept.map((snapshot) => (snapshot as { readonly state: unknown } | undefined)?.state),
        [
          ["a:1", ""],
          ["a:2", "a:1"],
          ["a:2;b:1", "a:2"],
          ["a:2;b:2", "a:2;b:1"],
          ["a:2;c:1", "a:2"],
        ].map(([at, _ancestor]) => ({ at, _ancestor })),
      );
      await save(actors, "a:3;b:3;c:3", { _ancestor: "a:2" });
      for (const [n, vector] of vectors.entries()) {
        const written = vector.split(";").toReversed().join(";").concat(";z:0");
        assert.deepEqual(await actors.fetchByVector(ALICE, written), kept[n]);
      }
    },
  },
  {
    id: "actors/store/same-twice",
    promise: "The same vector with the same state again, its keys in any order, is no change.",
    tooth: decidesBy("compares states as texts", (state) => ({
      ...state,
      stored: state.stored && { ...state.stored, state: '{"other":true}' },
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await actors.store(ALICE, "first", "a:1", { x: 1, y: { z: [2], w: null }, _ancestor: "" });
      await save(actors, "a:2");
      const before = [await actors.fetch(ALICE), await actors.fetchByVector(ALICE, "a:1")];
      const again = actors.store(ALICE, "second", { a: 1 }, { y: { w: null, z: [2] }, _ancestor: "", x: 1 });
      await fulfils(again, "The same again is no error");
      assert.deepEqual([await actors.fetch(ALICE), await actors.fetchByVector(ALICE, "a:1")], before);
    },
  },
  {
    id: "actors/store/same-at-once",
    promise: "The same snapshot stored by many at once is there once, and none of them is refused.",
    tooth: decidesBy("refuses what somebody else has stored", (state) => ({
      ...state,
      stored: state.stored && { ...state.stored, state: '{"other":true}' },
    })),
    check: async ({ store, open }) => {
      const stores = [await actorsOf(store), await actorsOf(await open())];
      const storing = Array.from({ length: 4 }, () => stores.map((actors) => save(actors, "a:1"))).flat();
      await fulfils(Promise.all(storing), "The same may be stored at once");
      const actors = await actorsOf(store);
      assert.equal(await latest(actors), "a:1");
      assert.equal((await collect(actors.links(ALICE))).length, 1);
    },
  },
  {
    id: "actors/store/other-state",
    promise: "The same vector with another state is refused, reported, and changes nothing.",
    tooth: decidesBy("replaces the state that is stored", (state) => ({ ...state, stored: undefined })),
    check: async ({ store }) => {
      const { actors, told } = await listening(store);
      await save(actors, "a:1");
      await save(actors, "a:2");
      for (const vector of ["a:1", "a:2"]) {
        const before = await actors.fetchByVector(ALICE, vector);
        const refused = actors.store(ALICE, "other", vector, { at: "somewhere else" });
        const error = await refuses("SNAPSHOT_CONFLICT", refused);
        assert.deepEqual(error.details, { actorType: ACCOUNT, systemId: ALICE, vector });
        assert.deepEqual(await actors.fetchByVector(ALICE, vector), before);
        assert.deepEqual(told.splice(0), [{ kind: "other-state", vector, snapshotId: "other" }]);
      }
      assert.equal(await latest(actors), "a:2");
    },
  },
  {
    id: "actors/store/serialized-state",
    promise:
      "With a serializer states are the same where it says so: by what it reads, and not by what JSON shows of that.",
    tooth: comparesWhatJsonShows,
    check: async ({ store, open }) => {
      let nonce = 0;
      const seals: Serializer = {
        toJson: (state) => ({ nonce: ++nonce, sealed: [...asMap(state)] }),
        fromJson: (json) => new Map((json as { readonly sealed: [string, string][] }).sealed),
      };
      const maps: Serializer = {
        toJson: (state) => Object.fromEntries(asMap(state)),
        fromJson: (json) => new Map(Object.entries(json as object)),
      };
      for (const [n, serializer] of [seals, maps].entries()) {
        const actors = await actorsOf(await open({ serializer }));
        const storing = (...owners: readonly string[]): Promise<void> =>
          actors.store(`actor ${n}`, "snapshot", "a:1", new Map(owners.map((owner) => [owner, "owns"])));
        await storing("alice", "bob");
        await fulfils(storing("alice", "bob"), "The same again is no change");
        await refuses("SNAPSHOT_CONFLICT", storing("alice", "carol"));
      }
      await fulfils((await actorsOf(store)).fetch("actor 1"), "It is stored as JSON");
    },
  },
  {
    id: "actors/store/stale-id",
    promise:
      "A state whose `_id` is a system id stays with that actor, though its business id stands for another one by now.",
    tooth: {
      lie: "stores every state where its business id is now",
      adapter: (real) =>
        override(real, () => ({ identities: override(real.identities, () => ({ actorId: async () => undefined })) })),
    },
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await actors.mapIds("s-1", ALICE);
      await save(actors, "a:1", { _id: "s-1" });
      await actors.mapIds("s-2", ALICE);
      await save(actors, "b:1", { _id: "s-2", _ancestor: "" });
      await fulfils(save(actors, "a:2", { _id: "s-1", _ancestor: "a:1" }), "A state of the first actor can be stored");
      await save(actors, "b:2", { _id: "never mapped", _ancestor: "b:1" });
      assert.deepEqual([await latest(actors, "s-1"), await latest(actors, "s-2")], ["a:2", "b:2"]);
      assert.equal(await latest(actors, "never mapped"), undefined);
    },
  },
  {
    id: "actors/store/other-vector",
    promise: "A state whose `_vector` is another one than it is to be stored with is refused.",
    tooth: actorsThat("does not look at a state's _vector", ({ store }) => ({
      store: (actorId, snapshotId, vector, actor, op) =>
        store(actorId, snapshotId, vector, { ...actor, _vector: vector }, op),
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await refuses("INVALID_ARGUMENT", save(actors, "a:2", { _vector: "a:1" }));
      assert.equal(await actors.fetch(ALICE), undefined);
      await save(actors, "a:2;b:1", { _vector: { b: 1, a: 2 } });
      assert.equal(await latest(actors), "a:2;b:1");
    },
  },
  {
    id: "actors/store/refused",
    promise: "What is no vector clock, no id or no state that JSON can hold is refused before anything is written.",
    tooth: actorsThat("writes what it can of a state that JSON cannot hold", ({ store }) => ({
      store: (actorId, snapshotId, vector, actor, op) =>
        store(actorId, snapshotId, vector, JSON.parse(JSON.stringify(actor)) as object, op),
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      const error = await refuses("INVALID_EVENT", save(actors, "a:1", { balances: [1, Number.NaN] }));
      assert.equal(error.details.path, "$.balances[1]");
      for (const vector of ["a", "a:1;a:2", "a:-1", "a:1.5", "a:b:1", "a\0:1", "\ud800:1"]) {
        await refuses("INVALID_ARGUMENT", save(actors, vector));
      }
      for (const id of ["", "a\0b", "\ud800"]) await refuses("INVALID_ARGUMENT", save(actors, "a:1", {}, id));
      await refuses("LIMIT_EXCEEDED", save(actors, "a:1", {}, "x".repeat(401)));
      await refuses("LIMIT_EXCEEDED", save(actors, `${"x".repeat(3_999)}:1`));
      await refuses("LIMIT_EXCEEDED", actors.store(ALICE, "x".repeat(201), "a:1", {}));
      await refuses("LIMIT_EXCEEDED", save(actors, "a:1", { text: "x".repeat(8 * 1024 * 1024) }));
      await refuses("LIMIT_EXCEEDED", actorsOf(store, "x".repeat(101)));
      for (const options of [null, "shop", { onAnomaly: "log" }]) {
        await refuses("INVALID_ARGUMENT", store.actorStores.create(ACCOUNT, options as ActorStoreOptions));
      }
      assert.equal(await actors.fetch(ALICE), undefined);
    },
  },
  {
    id: "actors/store/killed",
    promise: "When a process is killed while it stores, all that it was told is there, whole, and the actor is free.",
    when: { shared: true },
    tooth: storesLater,
    check: async ({ store, spawn }) => {
      const child = await spawn("actors/store-on");
      await child.hear("stored 5");
      await turn(randomInt(20));
      await child.kill();
      const actors = await actorsOf(store);
      // Waits for a commit that was on its way, and changes nothing that is looked at.
      await promptly("The actor is free", save(actors, ""));
      const { snapshots, anomalies } = await actors.inspect(ALICE);
      const stored = snapshots - 1;
      assert.ok(stored >= 5, `5 snapshots were stored, ${stored} are there.`);
      assert.deepEqual([await latest(actors), anomalies], [`a:${stored}`, []]);
      const mapped = await eventually("The ids stand for each other", async () => {
        const systemId = await actors.getSystemId("number");
        return systemId !== undefined && (await actors.getActorId(systemId)) === "number" && systemId;
      });
      assert.ok(mapped === `s-${stored}` || mapped === `s-${stored - 1}`, `The number stands for ${mapped}.`);
      await promptly("The ids are free", actors.mapIds("s-0", "number"));
      assert.equal(await actors.getSystemId("number"), "s-0");
    },
  },
  {
    id: "actors/store/aborted",
    promise: "A signal that has fired already writes nothing.",
    tooth: actorsThat("does not hear signals", ({ store }) => ({
      store: (actorId, snapshotId, vector, actor) => store(actorId, snapshotId, vector, actor),
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      const signal = AbortSignal.abort();
      await refuses("ABORTED", actors.store(ALICE, "snapshot", "a:1", {}, { signal }));
      await refuses("ABORTED", actors.fetch(ALICE, { signal }));
      assert.equal(await actors.fetch(ALICE), undefined);
    },
  },
];

const lookUpLaws: readonly Law[] = [
  {
    id: "actors/by-event-id",
    promise: "By an event id `fetchByLastEventId` gives the snapshot of the greatest one at or before it, in bytes.",
    tooth: snapshotsThat("looks for the snapshot strictly before an event", (port) => ({
      atEvent: async (actor, eventId, op) => {
        const found = await port.atEvent(actor, eventId, op);
        return found?.lastEventId === eventId ? undefined : found;
      },
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      // In bytes: B < Z < a < b.
      for (const [n, id] of ["b", "B", "Z", "a"].entries()) await save(actors, `${id}:${n + 1}`, lastEvent(id));
      await save(actors, "none:9", { _ancestor: "" });
      const at = async (id: string): Promise<unknown> => (await actors.fetchByLastEventId(ALICE, id))?.lastEventId;
      const asked = ["A", "B", "BB", "M", "Z", "Z ", "a", "az", "b", "zzz"];
      assert.deepEqual(await Promise.all(asked.map(at)), [...[undefined, "B", "B", "B", "Z", "Z", "a", "a", "b", "b"]]);
    },
  },
  {
    id: "actors/by-event-id/several",
    promise: "Of several snapshots with one last event it is the one of the highest version.",
    tooth: snapshotsThat("takes the first of several snapshots", (port) => ({
      atEvent: async (actor) => port.get(actor, "a:1", {}),
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      for (const vector of ["a:1", "a:10", "a:9", "b:1", "c:5"]) await save(actors, vector, lastEvent("e"));
      await save(actors, "z:99", lastEvent("d"));
      assert.equal((await actors.fetchByLastEventId(ALICE, "e"))?.vector, "a:10");
      assert.equal((await actors.fetchByLastEventId(ALICE, "dz"))?.vector, "z:99");
    },
  },
  {
    id: "actors/by-event-date",
    promise:
      "By a date `fetchByLastEventDate` gives the snapshot of the latest one at or before it, to the millisecond.",
    tooth: snapshotsThat("looks for the snapshot strictly before a date", (port) => ({
      atTime: (actor, time, op) => port.atTime(actor, time - 1, op),
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      const dated = (at: number): Date => new Date(SOME_TIME + at);
      await save(actors, "a:2", lastEvent("e2", dated(200)));
      await save(actors, "a:1", lastEvent("e1", dated(100).toISOString()));
      await save(actors, "a:3", lastEvent("e0", dated(300)));
      await save(actors, "old:1", lastEvent("e9", new Date(-5)));
      await save(actors, "none:9", { _ancestor: "" });
      const at = async (time: number): Promise<unknown> =>
        (await actors.fetchByLastEventDate(ALICE, dated(time)))?.vector;
      const asked = [99, 100, 101, 199, 200, 299, 300, 1e9];
      assert.deepEqual(await Promise.all(asked.map(at)), [
        ...["old:1", "a:1", "a:1", "a:1", "a:2", "a:2", "a:3", "a:3"],
      ]);
      assert.equal(await at(-5 - SOME_TIME), "old:1");
      assert.equal(await at(-6 - SOME_TIME), undefined);
      assert.deepEqual((await actors.fetchByVector(ALICE, "a:1"))?.lastEventOn, dated(100));
    },
  },
  {
    id: "actors/by-event-date/several",
    promise:
      "Of several snapshots of one moment it is the one of the greatest last event, none being less than any, then of the highest version.",
    tooth: snapshotsThat("takes any snapshot of a moment", (port) => ({
      atTime: (actor) => port.get(actor, "b:2", {}),
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      const date = new Date(SOME_TIME);
      await save(actors, "n:9", { _ancestor: "", _lastEventAppliedOn: date });
      assert.equal((await actors.fetchByLastEventDate(ALICE, date))?.vector, "n:9");
      for (const [vector, id] of [
        ["b:2", "e1"],
        ["c:7", "e1"],
        ["a:1", "e2"],
        ["a:3", "e2"],
        ["a:2", "e2"],
      ] as const) {
        await save(actors, vector, lastEvent(id, date));
      }
      assert.equal((await actors.fetchByLastEventDate(ALICE, date))?.vector, "a:3");
    },
  },
];

const stateLaws: readonly Law[] = [
  {
    id: "actors/state",
    promise: "All system fields of a state and the actor's own come back as they were stored.",
    tooth: writesRows("keeps the system fields that it knows", ({ state }) => ({
      state: JSON.stringify(
        Object.fromEntries(
          Object.entries(JSON.parse(state) as object).filter(([name]) => !name.startsWith("_lastCommand")),
        ),
      ),
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      const state = {
        ...{ _id: "s-1", _vector: "a:1", _version: 1, _ancestor: "", _eventsApplied: 12, _snapshotId: "snap" },
        ...{ _lastEventId: "e", _lastCommandId: "c", _lastCommandHandledOn: "2026-11-21T18:00:00.001Z" },
        _lastEventAppliedOn: "2026-11-21T18:00:00.002Z",
        "a.b": [null, true, -1.5, 5e-324, "\u0000", "\ud800", "👩‍🚀", { "": {} }, []],
        "quote\"'": "$$ % \\ \n",
        ["__proto__"]: { kept: true },
        nested: { deep: { deeper: [[[["x"]]]] } },
      };
      await actors.store("s-1", "snap", "a:1", state);
      const found = (await headsOf(actors, "s-1"))[0];
      assert.deepEqual(found?.state, state);
      assert.deepEqual([found?.lastEventId, found?.lastEventOn?.toISOString()], ["e", "2026-11-21T18:00:00.002Z"]);
    },
  },
  {
    id: "actors/state/large",
    promise: "A state of several megabytes comes back whole, as the latest and from the history.",
    tooth: writesRows("keeps the first megabyte of a state", ({ state }) => ({
      state: state.length > 1_000_000 ? '{"cut":"off"}' : state,
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      const text = "é\u0000x".repeat(600_000);
      await save(actors, "a:1", { text });
      await save(actors, "a:2", { text });
      for (const vector of ["a:1", "a:2"]) {
        const found = await actors.fetchByVector(ALICE, vector);
        assert.ok(found?.state["text"] === text, "The state comes back whole.");
      }
    },
  },
  {
    id: "actors/state/own",
    promise: "What a reader does to a snapshot is seen by nobody else.",
    tooth: actorsThat("hands the same snapshot out to all", ({ fetch }) => {
      let known: ReturnType<typeof fetch> | undefined;
      return { fetch: (actorId, op) => (known ??= fetch(actorId, op)) };
    }),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      const given = { list: [1] };
      await save(actors, "a:1", given);
      given.list.push(2);
      for (let time = 0; time < 2; time++) {
        const [found] = await headsOf(actors);
        assert.deepEqual(found?.state["list"], [1]);
        // Frozen or not, all the same.
        Reflect.set(Reflect.get(found?.state ?? {}, "list") as object, "0", "spoilt");
      }
    },
  },
  {
    id: "actors/reopen",
    promise: "Snapshots, mappings and packs are there when all stores were closed and another one is opened.",
    when: { durable: true },
    tooth: snapshotsThat("keeps snapshots in the memory of its store", (port) => {
      const kept: Parameters<typeof port.get>[1][] = [];
      return {
        store: async (actor, vector, decide, op) => {
          kept.push(vector);
          await port.store(actor, vector, decide, op);
        },
        heads: async (actor, op) => (await port.heads(actor, op)).filter(({ vector }) => kept.includes(vector)),
      };
    }),
    check: async ({ store, open }) => {
      const actors = await actorsOf(store);
      await actors.mapIds("s-1", ALICE);
      await saveAll(actors, { "a:1": "", "a:2": "a:1", "a:1;b:1": "a:1" });
      const events = await store.eventStores.create(ACCOUNT);
      await events.storeEventPack("s-1", "a:2", [{ id: "e", type: "deposited", data: 1 }]);
      const before = [await actors.fetch(ALICE), await events.getEventPackFor("s-1", "a:2")];
      await store.close();
      const again = await open();
      const reopened = await actorsOf(again);
      const after = [
        await reopened.fetch(ALICE),
        await (await again.eventStores.create(ACCOUNT)).getEventPackFor("s-1", "a:2"),
      ];
      assert.deepEqual(after, before);
      assert.equal(await reopened.getActorId("s-1"), ALICE);
      assert.equal((await collect(reopened.links(ALICE))).length, 3);
    },
  },
];

const typeLaws: readonly Law[] = [
  {
    id: "actors/type-isolation",
    promise: "One id under two actor types never meets, however alike the types are.",
    tooth: mistakes("compares types without regard to case", {
      actor: (actor) => ({ ...actor, type: actor.type.toLowerCase() }),
    }),
    check: async ({ store }) => {
      const types = ["account", "Account", "account ", "accóunt", "acco\u0301unt", "order"];
      for (const [n, type] of types.entries()) await save(await actorsOf(store, type), `a:${n + 1}`);
      for (const [n, type] of types.entries()) assert.equal(await latest(await actorsOf(store, type)), `a:${n + 1}`);
    },
  },
  {
    id: "actors/create/twice",
    promise: "A second `create` of a type is a view of the same data, as is that of another store.",
    tooth: {
      lie: "begins anew with every create",
      store: (real) => {
        const made = new Map<string, number>();
        return override(real, () => ({
          actorStores: {
            create: (type, options) => {
              made.set(type, (made.get(type) ?? 0) + 1);
              return real.actorStores.create(`${type}${made.get(type)}`, options);
            },
          },
        }));
      },
    },
    check: async ({ store, open }) => {
      const [first, second] = [await actorsOf(store), await actorsOf(store)];
      const other = await actorsOf(await open());
      await save(first, "a:1");
      await save(second, "a:2");
      await save(other, "a:3");
      await first.mapIds(ALICE, "alias");
      assert.deepEqual(await Promise.all([first, second, other].map((actors) => latest(actors, "alias"))), [
        "a:3",
        "a:3",
        "a:3",
      ]);
      assert.equal(first.actorType, ACCOUNT);
    },
  },
  {
    id: "actors/create/at-once",
    promise: "Many types may be created at once, from many places, and used at once.",
    tooth: {
      lie: "refuses to create a type that is being created",
      store: (real) => {
        const creating = new Set<string>();
        return override(real, () => ({
          actorStores: {
            create: async (type, options) => {
              if (creating.has(type)) throw new RangeError(`${type} is being created.`);
              creating.add(type);
              try {
                await Promise.resolve();
                return await real.actorStores.create(type, options);
              } finally {
                creating.delete(type);
              }
            },
          },
        }));
      },
    },
    check: async ({ store, open }) => {
      const other = await open();
      const types = Array.from({ length: 10 }, (_, n) => `type ${n}`);
      const using = [store, other, store].flatMap((from, n) =>
        types.map(async (type) => {
          const actors = await from.actorStores.create(type);
          await save(actors, `${"abc"[n]}:1`, { _ancestor: "" });
        }),
      );
      await fulfils(Promise.all(using), "Types may be created at once");
      for (const type of types) assert.deepEqual(await latest(await actorsOf(store, type)), ["a:1", "b:1", "c:1"]);
    },
  },
];

const textLaws: readonly Law[] = [
  {
    id: "actors/ids/bytes",
    promise: "Ids of actors are compared by bytes: case, accents, quotes and spaces at the end tell two apart.",
    tooth: mistakes("ignores spaces at the end of ids", {
      actor: (actor) => ({ ...actor, systemId: actor.systemId.trimEnd() }),
    }),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      const ids = [...ODD_IDS, ...ODD_IDS.map((id) => `${id} `)];
      for (const [n, id] of ids.entries()) await save(actors, `a:${n + 1}`, {}, id);
      for (const [n, id] of ids.entries()) assert.equal(await latest(actors, id), `a:${n + 1}`);
    },
  },
  {
    id: "actors/ids/longest",
    promise: "Ids of 400 bytes, types of 100 and snapshot ids of 200 are kept whole, whatever they are made of.",
    tooth: mistakes("keeps the first hundred characters of an id", {
      actor: (actor) => ({ ...actor, systemId: actor.systemId.slice(0, 99) }),
    }),
    check: async ({ store }) => {
      const type = "\u{1f30a}".repeat(25);
      const actors = await actorsOf(store, type);
      for (const end of ["\u{1f30a}", "\u{1f30b}", "    ", "''\"\""]) {
        const id = "\u{1f30a}".repeat(99).concat(end);
        const snapshotId = "é".repeat(98).concat(end);
        await fulfils(actors.store(id, snapshotId, "a:1", { end }), "Each id is another actor's");
        const [found] = await headsOf(actors, id);
        assert.deepEqual([found?.systemId, found?.snapshotId, found?.state], [id, snapshotId, { end }]);
      }
    },
  },
  {
    id: "actors/vectors/bytes",
    promise: "Nodes are compared by bytes: vectors whose nodes differ in case, accents or spaces are different ones.",
    tooth: mistakes("compares nodes without regard to case", { vector: (vector) => vector.toLowerCase() }),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      const nodes = [...ODD_IDS, ...ODD_IDS.map((id) => `${id} `), ""].filter((id) => !/[:;]/.test(id));
      for (const node of nodes) {
        await fulfils(save(actors, `${node}:1`, { _ancestor: "", node }), "Each vector is another snapshot's");
      }
      assert.equal((await headsOf(actors)).length, nodes.length);
      for (const node of nodes) {
        assert.equal((await actors.fetchByVector(ALICE, `${node}:1`))?.state["node"], node);
      }
    },
  },
  {
    id: "actors/vectors/longest",
    promise: "Vectors of 4 000 bytes are told apart by their last one: in the history, among siblings, along chains.",
    tooth: mistakes("tells vectors apart by their first thousand characters", {
      vector: (vector) => vector.slice(0, 999),
    }),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      // Without two characters alike, so that it does not compress.
      const noise = Array.from({ length: 998 }, (_, n) => String.fromCodePoint(0x20000 + ((n * 7_919) % 0x9fff))).join(
        "",
      );
      const [first, second, third] = ["a", "b", "c"].map((end) => `${noise}xxxxx${end}:1`) as [string, string, string];
      assert.equal(Buffer.byteLength(first), 4_000);
      const saving = saveAll(actors, { [first]: "", [second]: first, [third]: first });
      await fulfils(saving, "Each vector is another snapshot's");
      assert.deepEqual(await latest(actors), [first, second, third]);
      for (const vector of [first, second, third]) {
        assert.equal((await actors.fetchByVector(ALICE, vector))?.state["at"], vector);
      }
      assert.deepEqual(await collect(actors.chain(ALICE, third)), [
        { vector: third, ancestor: first },
        { vector: first, ancestor: "" },
      ]);
      const events = await store.eventStores.create(ACCOUNT);
      for (const vector of [first, second]) {
        await events.storeEventPack(ALICE, vector, [{ id: "e", type: "deposited", data: vector }]);
      }
      assert.equal((await events.getEventPackFor(ALICE, first))?.[0]?.data, first);
    },
  },
];

export const actorLaws: readonly Law[] = [
  ...fetchLaws,
  ...siblingLaws,
  ...storeLaws,
  ...lookUpLaws,
  ...stateLaws,
  ...typeLaws,
  ...textLaws,
];

function asMap(state: unknown): ReadonlyMap<string, string> {
  assert.ok(state instanceof Map, "A serializer is given what it has made, or what is to be stored.");
  return state;
}

/** What databases take one for another, or for an end. None begins like another one and goes on with a space. */
const ODD_IDS = [
  "a",
  "A",
  "á",
  "a\u0301",
  "ß",
  "ss",
  "'",
  '"',
  "`",
  "''; drop table x; --",
  "%",
  "_",
  "\\",
  "\n",
  "\u{1f30a}",
  "\u{1f30b}",
];

function lastEvent(id: string, on?: Date | string): { readonly [field: string]: unknown } {
  return { _ancestor: "", _lastEventId: id, _lastEventAppliedOn: on };
}

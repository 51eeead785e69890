import { isTidemarkError, type StoreInTransaction } from "@tidemark/core";
import { actorsOf, ALICE, eventsOf, eventsWith, latest, save } from "../actors.ts";
import { assert, atOnce, collect, elsewhere, fulfils, later, outcome, promptly, refuses } from "../expect.ts";
import { type Law, override } from "../law.ts";
import {
  decidesBy,
  onlySaysWritten,
  writesAsIfFromOutside,
  writesAtTheEnd,
  writesBeside,
  writesWhenOver,
} from "../lies/actors.ts";

type Stores = Pick<StoreInTransaction, "actorStores" | "eventStores">;

/** One of the things that are kept of actors, as laws about transactions see it. */
interface Kept {
  readonly group: string;
  /** In the middle of a sentence. */
  readonly what: string;
  readonly write: (store: Stores, id: string) => Promise<unknown>;
  readonly isThere: (store: Stores, id: string) => Promise<boolean>;
}

const KEPT: readonly Kept[] = [
  {
    group: "actors/transaction",
    what: "a snapshot",
    write: async (store, id) => save(await actorsOf(store), "a:1", {}, id),
    isThere: async (store, id) => (await (await actorsOf(store)).fetch(id)) !== undefined,
  },
  {
    group: "identities/transaction",
    what: "a mapping",
    write: async (store, id) => (await actorsOf(store)).mapIds(`s of ${id}`, id),
    isThere: async (store, id) => (await (await actorsOf(store)).getSystemId(id)) !== undefined,
  },
  {
    group: "event-stores/transaction",
    what: "an actor's event",
    write: async (store, id) => (await eventsOf(store)).storeEvents(id, eventsWith("e")),
    isThere: async (store, id) => (await (await eventsOf(store)).getEventsFor(id)).length > 0,
  },
  {
    group: "event-stores/packs/transaction",
    what: "an event pack",
    write: async (store, id) => (await eventsOf(store)).storeEventPack(id, "a:1", eventsWith("e")),
    isThere: async (store, id) => (await (await eventsOf(store)).getEventPackFor(id, "a:1")) !== undefined,
  },
];

const transactionLaws: readonly Law[] = KEPT.flatMap(({ group, what, write, isThere }): readonly Law[] => [
  {
    id: `${group}/commits`,
    promise: `Together with what the application writes, ${what} that is written in a transaction is there when it commits.`,
    tooth: onlySaysWritten,
    check: async ({ store, database }) => {
      await store.transaction(async (tx, inside) => {
        await write(inside, ALICE);
        await database.effects.write(tx, "lent", "written");
      });
      const raw = await database.begin();
      await elsewhere(async () => {
        await write(store.within(raw.tx), "bob");
        await database.effects.write(raw.tx, "own", "written");
      });
      await raw.commit();
      const there = [await isThere(store, ALICE), await isThere(store, "bob")];
      const effects = [await database.effects.read("lent"), await database.effects.read("own")];
      assert.deepEqual(
        [there, effects],
        [
          [true, true],
          ["written", "written"],
        ],
      );
    },
  },
  {
    id: `${group}/rolls-back`,
    promise: `Together with what the application writes, ${what} that is written in a transaction vanishes with it.`,
    tooth: writesBeside,
    check: async ({ store, database }) => {
      const reason = new RangeError("not today");
      const lent = store.transaction(async (tx, inside) => {
        await fulfils(promptly("Writing inside", write(inside, ALICE)), "A transaction writes what it is told");
        await database.effects.write(tx, "lent", "written");
        throw reason;
      });
      const said = await outcome(lent);
      if (said !== reason) throw said;
      const raw = await database.begin();
      await elsewhere(async () => {
        const writing = write(store.within(raw.tx), "bob");
        await fulfils(promptly("Writing inside", writing), "A transaction writes what it is told");
        await database.effects.write(raw.tx, "own", "written");
      });
      await raw.rollback();
      const there = [await isThere(store, ALICE), await isThere(store, "bob")];
      const effects = [await database.effects.read("lent"), await database.effects.read("own")];
      assert.deepEqual(
        [there, effects],
        [
          [false, false],
          [undefined, undefined],
        ],
      );
      await fulfils(write(store, ALICE), "What was taken back can be written");
    },
  },
  {
    id: `${group}/own-writes`,
    promise: `Inside of the transaction ${what} that it has written is there at once.`,
    tooth: writesAtTheEnd,
    check: async ({ store }) => {
      await store.transaction(async (_tx, inside) => {
        assert.equal(await isThere(inside, ALICE), false);
        await write(inside, ALICE);
        assert.equal(await isThere(inside, ALICE), true);
        await fulfils(write(inside, ALICE), "The same again is no error");
      });
      assert.equal(await isThere(store, ALICE), true);
    },
  },
  {
    id: `${group}/not-seen-outside`,
    promise: `Before the transaction commits, nobody else sees ${what} that it has written.`,
    tooth: writesBeside,
    check: async ({ store, open, database }) => {
      const other = await open();
      const raw = await database.begin();
      await elsewhere(() => {
        const writing = write(store.within(raw.tx), ALICE);
        return fulfils(promptly("Writing inside", writing), "A transaction writes what it is told");
      });
      // On one connection for all, readers wait until the transaction is over. Elsewhere they must not see it.
      const look = later(isThere(other, ALICE));
      assert.ok((await atOnce(look, 100)) !== true, "A reader saw what is not committed.");
      await raw.commit();
      assert.equal(await isThere(other, ALICE), true);
      await look;
    },
  },
  {
    id: `${group}/over`,
    promise: `Once a transaction is over, writing ${what} through it is refused with TRANSACTION_ENDED.`,
    tooth: writesWhenOver,
    check: async ({ store }) => {
      const late = await store.transaction(async (_tx, inside) => inside);
      await refuses("TRANSACTION_ENDED", write(late, ALICE));
      await refuses("TRANSACTION_ENDED", isThere(late, ALICE));
      assert.equal(await isThere(store, ALICE), false);
    },
  },
  {
    id: `${group}/would-deadlock`,
    promise: `Code inside a transaction that has written ${what} is told at once when it would wait for itself.`,
    tooth: writesAsIfFromOutside,
    check: async ({ store }) => {
      await store.transaction(async (_tx, inside) => {
        await write(inside, "held");
        for (const id of ["other", "held"]) {
          const said = await promptly("What would wait for its own caller is refused", outcome(write(store, id)));
          const refused = isTidemarkError(said, "WOULD_DEADLOCK");
          assert.ok(refused || id === "other", `A write outside went past the transaction that holds ${id}.`);
          assert.ok(refused || !(said instanceof Error), String(said));
        }
      });
      await fulfils(write(store, "held"), "After the transaction it goes through");
    },
  },
]);

const placeLaws: readonly Law[] = [
  {
    id: "actors/transaction/in-place",
    promise: "Inside a transaction its own snapshots are found in their places among those that were there before.",
    tooth: {
      lie: "finds by their events and dates only what was there before the transaction",
      adapter: (real) =>
        override(real, () => ({
          within: (tx) =>
            override(real.within(tx), ({ snapshots }) => ({
              snapshots: override(snapshots, () => ({
                atEvent: (actor, eventId, op) => snapshots.atEvent(actor, eventId.replace("4", "3"), op),
                atTime: (actor, time, op) => snapshots.atTime(actor, time === 4 ? 3 : time, op),
              })),
            })),
        })),
    },
    check: async ({ store }) => {
      const saveAt = async (on: Stores, ...numbers: readonly number[]): Promise<void> => {
        for (const n of numbers) {
          const state = { _ancestor: "", _lastEventId: `e${n}`, _lastEventAppliedOn: new Date(n) };
          await save(await actorsOf(on), `a:${n}`, state);
        }
      };
      await saveAt(store, 1, 3, 5);
      await store.transaction(async (_tx, inside) => {
        await saveAt(inside, 4, 2, 6);
        const actors = await actorsOf(inside);
        for (let n = 0; n <= 7; n++) {
          const expected = n === 0 ? undefined : `a:${Math.min(n, 6)}`;
          assert.equal((await actors.fetchByLastEventId(ALICE, `e${n}`))?.vector, expected);
          assert.equal((await actors.fetchByLastEventDate(ALICE, new Date(n)))?.vector, expected);
        }
        const vectors = (await collect(actors.links(ALICE))).map(({ vector }) => vector);
        assert.deepEqual(vectors, ["a:1", "a:2", "a:3", "a:4", "a:5", "a:6"]);
        assert.equal(await latest(actors), "a:6");
      });
      assert.equal((await (await actorsOf(store)).fetchByLastEventId(ALICE, "e4"))?.vector, "a:4");
    },
  },
];

const refusalLaws: readonly Law[] = [
  {
    id: "actors/transaction/after-refusal",
    promise: "After a refused snapshot a transaction is usable and holds nothing of it.",
    tooth: decidesBy("replaces the state that is stored", (state) => ({ ...state, stored: undefined })),
    check: async ({ store, database }) => {
      await save(await actorsOf(store), "a:1");
      const goThroughRefusals = async (inside: StoreInTransaction): Promise<void> => {
        const actors = await actorsOf(inside);
        await save(actors, "b:1", { _ancestor: "" });
        await refuses("SNAPSHOT_CONFLICT", actors.store(ALICE, "snapshot", "a:1", { at: "elsewhere" }));
        await refuses("ANCESTOR_AMBIGUOUS", save(actors, "a:1;b:1"));
        await fulfils(save(actors, "c:1", { _ancestor: "" }), "The transaction is usable");
      };
      await store.transaction((_tx, inside) => goThroughRefusals(inside));
      const raw = await database.begin();
      await elsewhere(() => goThroughRefusals(store.within(raw.tx)));
      await raw.commit();
      const found = await (await actorsOf(store)).fetch(ALICE);
      assert.ok(Array.isArray(found));
      assert.deepEqual(
        found.map(({ vector, state }) => [vector, state["at"]]),
        ["a:1", "b:1", "c:1"].map((vector) => [vector, vector]),
      );
    },
  },
  {
    id: "actors/transaction/all-together",
    promise: "Events, packs, mappings and a snapshot of one transaction are there together, or none of them.",
    tooth: onlySaysWritten,
    check: async ({ store, open }) => {
      const other = await open();
      const there = (): Promise<readonly boolean[]> => Promise.all(KEPT.map(({ isThere }) => isThere(other, ALICE)));
      const attempt = (how: "commit" | "rollback"): Promise<unknown> =>
        outcome(
          store.transaction(async (_tx, inside) => {
            await (await eventsOf(inside)).storeEvents(ALICE, eventsWith("e"));
            await (await eventsOf(inside)).storeEventPack(ALICE, "a:1", eventsWith("e"));
            await (await actorsOf(inside)).mapIds(ALICE, ALICE);
            await save(await actorsOf(inside), "a:1");
            if (how === "rollback") throw new RangeError("not today");
          }),
        );
      await attempt("rollback");
      assert.deepEqual(await there(), [false, false, false, false]);
      await attempt("commit");
      assert.deepEqual(await there(), [true, true, true, true]);
    },
  },
];

export const actorTransactionLaws: readonly Law[] = [...transactionLaws, ...placeLaws, ...refusalLaws];

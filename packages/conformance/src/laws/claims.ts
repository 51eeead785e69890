import type { ClaimOutcome, Claims, ConsumerInput, Store } from "@tidemark/core";
import { declare, ORDERS } from "../consumers.ts";
import { assert, eventually, fulfils, refuses, turn } from "../expect.ts";
import { changeRecords } from "../faults.ts";
import { type Law, override } from "../law.ts";
import { claimsAs, confuses, neverExpires } from "../lies/claims.ts";
import { changeClaims } from "../observers.ts";

export const claimLaws: readonly Law[] = [
  {
    id: "claims/once",
    promise: "Of any number of concurrent claims of one key exactly one wins.",
    tooth: claimsAs("lets everyone claim what is claimed", (claims) => ({
      claim: async (...args) => {
        const outcome = await claims.claim(...args);
        return outcome === "busy" ? "claimed" : outcome;
      },
    })),
    check: async ({ store, open }) => {
      const stores = [store, await open(), await open(), await open()];
      const claims = [...stores, ...stores].map((claimant, index) => claim(claimant.claims, "k", `claimant ${index}`));
      const outcomes = await Promise.all(claims);
      assert.deepEqual(outcomes.toSorted(), [...Array<ClaimOutcome>(7).fill("busy"), "claimed"]);
    },
  },
  {
    id: "claims/once/again",
    promise: "Whoever holds a claim does not get it a second time.",
    tooth: claimsAs("lets its holder claim again", (claims, known) => ({
      claim: async (consumer, key, given, op) => {
        const outcome = await claims.claim(consumer, key, given, op);
        return outcome === "busy" && known(consumer, key).tokens.at(-1) === given.token ? "claimed" : outcome;
      },
    })),
    check: async ({ store: { claims } }) => {
      assert.equal(await claim(claims, "k"), "claimed");
      assert.equal(await claim(claims, "k"), "busy");
    },
  },
  {
    id: "claims/two-phase/expired",
    promise: "A claim that was never completed can be taken over after its expiry.",
    tooth: neverExpires,
    check: async ({ store: { claims } }) => {
      assert.equal(await claim(claims, "k", "first", 1), "claimed");
      await takeOver(claims, "k", "second");
      assert.equal(await claim(claims, "k", "first"), "busy", "It is the second one's now.");
    },
  },
  {
    id: "claims/two-phase/expiry",
    promise: "A claim holds for as long as it was asked for, whatever the clock of the process says.",
    tooth: claimsAs("takes claims for over by the clock of its own process", (claims, known) => {
      const ends = new Map<string, number>();
      return {
        claim: async (consumer, key, given, op) => {
          if (Date.now() > (ends.get(key) ?? Infinity)) return "claimed";
          const outcome = await claims.claim(consumer, key, given, op);
          if (known(consumer, key).tokens.length === 1) ends.set(key, Date.now() + given.ms);
          return outcome;
        },
      };
    }),
    check: async ({ store: { claims } }) => {
      assert.equal(await claim(claims, "k", "first", 60_000), "claimed");
      const now = Date.now;
      Date.now = () => now() + 3_600_000;
      try {
        assert.equal(await claim(claims, "k", "second"), "busy");
      } finally {
        Date.now = now;
      }
    },
  },
  {
    id: "claims/two-phase/completed",
    promise: "A completed claim is never taken over, however long ago it would have expired.",
    tooth: claimsAs("lets completed claims expire", (claims) => ({
      claim: async (...args) => {
        const outcome = await claims.claim(...args);
        return outcome === "done" ? "claimed" : outcome;
      },
    })),
    check: async ({ store: { claims } }) => {
      await claim(claims, "k", "first", 1);
      await claims.complete(ORDERS, "k");
      await expireOne(claims);
      assert.equal(await claim(claims, "k", "second"), "done");
      assert.equal(await claim(claims, "k", "first"), "done", "So it is for who has completed it.");
    },
  },
  {
    id: "claims/complete/unclaimed",
    promise: "What was completed without a claim is done as well.",
    tooth: claimsAs("completes only what is claimed", (claims, known) => ({
      complete: async (consumer, key, op) => {
        if (known(consumer, key).tokens.length > 0) await claims.complete(consumer, key, op);
      },
    })),
    check: async ({ store: { claims } }) => {
      await claims.complete(ORDERS, "k");
      await fulfils(claims.complete(ORDERS, "k"), "Completing twice is allowed");
      assert.equal(await claim(claims, "k"), "done");
    },
  },
  {
    id: "claims/late-completion-counts",
    promise: "An old holder's completion after a takeover is kept.",
    tooth: claimsAs("ignores who completes after a takeover", (claims, known) => ({
      complete: async (consumer, key, op) => {
        if (known(consumer, key).tokens.length < 2) await claims.complete(consumer, key, op);
      },
    })),
    check: async ({ store: { claims } }) => {
      await claim(claims, "k", "old", 1);
      await takeOver(claims, "k", "heir");
      await claims.complete(ORDERS, "k");
      assert.equal(await claim(claims, "k", "third"), "done");
      await fulfils(claims.complete(ORDERS, "k"), "The heir may complete it as well");
      await claims.release(ORDERS, "k", "heir");
      assert.equal(await claim(claims, "k", "third"), "done", "The heir cannot undo it.");
    },
  },
  {
    id: "claims/release",
    promise: "A claim that was released can be claimed at once.",
    tooth: claimsAs("keeps what was released", () => ({ release: async () => undefined })),
    check: async ({ store, open }) => {
      await claim(store.claims, "k", "first");
      await store.claims.release(ORDERS, "k", "first");
      await fulfils(store.claims.release(ORDERS, "k", "first"), "Releasing twice is allowed");
      assert.equal(await claim((await open()).claims, "k", "second"), "claimed");
    },
  },
  {
    id: "claims/release/not-holder",
    promise: "Releasing somebody else's claim changes nothing.",
    tooth: claimsAs("releases a claim whoever asks", (claims, known) => ({
      release: async (consumer, key, token, op) =>
        claims.release(consumer, key, known(consumer, key).tokens.at(-1) ?? token, op),
    })),
    check: async ({ store: { claims } }) => {
      await claim(claims, "k", "old", 1);
      await takeOver(claims, "k", "heir");
      await claims.release(ORDERS, "k", "old");
      await claims.release(ORDERS, "k", "stranger");
      assert.equal(await claim(claims, "k", "third"), "busy", "It is the heir's.");
    },
  },
  {
    id: "claims/release/completed",
    promise: "Releasing a completed claim changes nothing.",
    tooth: claimsAs("forgets on release that a claim was completed", (claims) => {
      const released = new Set<string>();
      return {
        claim: async (consumer, key, given, op) => {
          const outcome = await claims.claim(consumer, key, given, op);
          return outcome === "done" && released.has(key) ? "claimed" : outcome;
        },
        release: async (consumer, key, token, op) => {
          await claims.release(consumer, key, token, op);
          released.add(key);
        },
      };
    }),
    check: async ({ store: { claims } }) => {
      await claim(claims, "k", "first");
      await claims.complete(ORDERS, "k");
      await claims.release(ORDERS, "k", "first");
      assert.equal(await claim(claims, "k", "second"), "done");
    },
  },
  {
    id: "claims/sweep",
    promise: "Sweeping forgets completed claims that are old enough, tells how many, and leaves running ones alone.",
    tooth: claimsAs("sweeps what is not completed", (claims, known) => ({
      sweep: async (consumer, before, op) => {
        for (const token of known(consumer, "running").tokens) await claims.release(consumer, "running", token, op);
        return claims.sweep(consumer, before, op);
      },
    })),
    check: async ({ store: { claims } }) => {
      for (const key of ["one", "two"]) {
        await claim(claims, key);
        await claims.complete(ORDERS, key);
      }
      await claim(claims, "running");
      assert.equal(await claims.sweep(ORDERS, new Date(Date.now() - 3_600_000)), 0, "Nothing is an hour old.");
      assert.equal(await claim(claims, "one"), "done");
      const future = new Date(Date.now() + 3_600_000);
      assert.equal(await claims.sweep(ORDERS, future), 2);
      assert.equal(await claims.sweep(ORDERS, future), 0, "They are gone.");
      assert.equal(await claim(claims, "one"), "claimed");
      assert.equal(await claim(claims, "running", "stranger"), "busy");
    },
  },
  {
    id: "claims/sweep/strictly-older",
    promise: "A claim that was completed in the very millisecond of the bound is not swept.",
    tooth: claimsAs("sweeps what is as old as the bound too", (claims) => ({
      sweep: (consumer, before, op) => claims.sweep(consumer, before + 1, op),
    })),
    check: async ({ store }) => {
      const { claims } = store;
      // The claim is completed between two looks at the database's clock. A sweep that is not strict takes it at the
      // first of them, sooner or later; a strict one only behind the second, sooner or later. That takes a commit within
      // a millisecond, so where none is that quick this says only that nothing is swept outside of the two.
      const clock = await clockBeside(store);
      const deadline = performance.now() + 10_000;
      let attempts = 0;
      const meetsTheClock = async (): Promise<boolean> => {
        const key = `claim ${++attempts}`;
        const before = await clock();
        await claims.complete(ORDERS, key);
        const after = await clock();
        let bound = before;
        while ((await claims.sweep(ORDERS, new Date(bound))) === 0) {
          bound += 1;
          assert.ok(bound <= after + 1, "It is swept once it is older than the bound.");
        }
        assert.ok(bound > before, "It is not older than the moment before it was completed.");
        assert.equal(await claim(claims, key), "claimed", "It is gone.");
        return bound === after + 1;
      };
      while (!(await meetsTheClock()) && performance.now() < deadline) await turn();
    },
  },
  {
    id: "claims/sweep/first-completion",
    promise: "Completing a claim again does not make it younger.",
    tooth: claimsAs("takes the last completion for the moment of it", (claims, known) => ({
      sweep: async (consumer, before, op) =>
        known(consumer, "k").completed && before < Date.now() + 60_000 ? 0 : claims.sweep(consumer, before, op),
    })),
    check: async ({ store }) => {
      const { claims } = store;
      await claims.complete(ORDERS, "k");
      const time = await clockOf(store);
      await eventually("The clock goes on", async () => (await clockOf(store)) > time + 1);
      await claims.complete(ORDERS, "k");
      assert.equal(await claims.sweep(ORDERS, new Date(time + 1)), 1, "It counts from the first completion.");
    },
  },
  {
    id: "claims/reset",
    promise: "A consumer that is reset forgets what it has claimed and completed, because it is to handle it again.",
    tooth: {
      lie: "keeps completed claims over a reset",
      adapter: (real) =>
        changeRecords(real, (records) => ({
          reset: async (consumer, position, op) => {
            const outcome = await records.reset(consumer, position, op);
            await real.claims.complete(consumer, "k", op);
            return outcome;
          },
        })),
    },
    check: async ({ store }) => {
      await declare(store);
      await claim(store.claims, "k");
      await store.claims.complete(ORDERS, "k");
      await store.consumers.reset(ORDERS, "beginning");
      assert.equal(await claim(store.claims, "k"), "claimed");
    },
  },
  {
    id: "claims/per-consumer",
    promise: "The same key is another claim for each consumer and each of its versions.",
    tooth: confuses("has one set of claims for all consumers", (consumer, key) => [
      { ...consumer, name: "all", version: 1 },
      key,
    ]),
    check: async ({ store: { claims } }) => {
      const consumers: readonly ConsumerInput[] = ["a", "A", "a ", "b", { name: "a", version: 2 }];
      for (const consumer of consumers) assert.equal(await claim(claims, "k", "me", 60_000, consumer), "claimed");
      await claims.complete("a", "k");
      await claims.release("b", "k", "me");
      assert.equal(await claims.sweep("b", new Date(Date.now() + 3_600_000)), 0);
      const outcomes = await Promise.all(consumers.map((consumer) => claim(claims, "k", "other", 60_000, consumer)));
      assert.deepEqual(outcomes, ["done", "busy", "busy", "claimed", "busy"]);
    },
  },
  {
    id: "claims/hostile-keys",
    promise: "Keys of claims are compared by their bytes, whatever is in them.",
    tooth: confuses("compares keys as people do", (consumer, key) => [consumer, key.normalize().toLowerCase().trim()]),
    check: async ({ store: { claims } }) => {
      for (const key of HOSTILE_KEYS) {
        assert.equal(await claim(claims, key), "claimed", `${JSON.stringify(key)} is a key of its own.`);
      }
      for (const [index, key] of HOSTILE_KEYS.entries()) if (index % 2 === 0) await claims.complete(ORDERS, key);
      for (const [index, key] of HOSTILE_KEYS.entries()) {
        assert.equal(
          await claim(claims, key),
          index % 2 === 0 ? "done" : "busy",
          `The state of ${JSON.stringify(key)}.`,
        );
      }
    },
  },
  {
    id: "claims/refused-keys",
    promise: "A key or token that is too long, empty or no text is refused, and nothing is claimed.",
    tooth: {
      lie: "cuts off what it cannot store",
      store: (real) =>
        override(real, () => ({
          claims: override(real.claims, (claims) => ({
            claim: async (consumer, key, options) =>
              claims.claim(consumer, cut(key), { ...options, token: cut(options.token) }),
          })),
        })),
    },
    check: async ({ store: { claims } }) => {
      for (const given of ["a".repeat(401), "\u{1f600}".repeat(101)]) {
        await refuses("LIMIT_EXCEEDED", claim(claims, given));
      }
      for (const given of ["", "a\0b", "a\ud800"]) {
        await refuses("INVALID_ARGUMENT", claim(claims, given));
        await refuses("INVALID_ARGUMENT", claim(claims, "k", given));
      }
      await refuses("INVALID_ARGUMENT", claim(claims, "k", "me", 0));
      assert.equal(await claim(claims, "a"), "claimed", "Nothing was claimed.");
      assert.equal(await claim(claims, "k"), "claimed", "Nothing was claimed.");
    },
  },
  {
    id: "claims/deleted-with-consumer",
    promise: "Deleting a consumer forgets its claims, and only its own.",
    tooth: {
      lie: "keeps the claims of a deleted consumer",
      adapter: (real) => {
        const done = new Set<string>();
        const remembering = changeClaims(real, (claims) => ({
          complete: async (consumer, key, op) => {
            await claims.complete(consumer, key, op);
            done.add(key);
          },
        }));
        return changeRecords(remembering, (records) => ({
          remove: async (consumer, op) => {
            const outcome = await records.remove(consumer, op);
            for (const key of done) await real.claims.complete(consumer, key, op);
            return outcome;
          },
        }));
      },
    },
    check: async ({ store }) => {
      const { claims, consumers } = store;
      await declare(store);
      for (const consumer of [ORDERS, "other"]) await claims.complete(consumer, "k");
      await consumers.delete(ORDERS);
      assert.equal(await claim(claims, "k"), "claimed");
      assert.equal(await claim(claims, "k", "me", 60_000, "other"), "done");
    },
  },
];

/** Bytes tell them apart; people, collations and padded columns might not. */
const HOSTILE_KEYS: readonly string[] = [
  "a",
  "A",
  "a ",
  " a",
  "\u00e9",
  "e\u0301",
  "'; drop table tidemark_claim; --",
  '"',
  "`",
  "%",
  "_",
  "\\",
  "\n",
  "\u{1f600}",
  "1",
  "01",
  "1.0",
  "null",
  "a".repeat(400),
  `${"a".repeat(399)}b`,
];

function claim(
  claims: Claims,
  key: string,
  token = "me",
  ms = 60_000,
  consumer: ConsumerInput = ORDERS,
): Promise<ClaimOutcome> {
  // What is refused before there is a promise is refused all the same.
  return Promise.resolve().then(() => claims.claim(consumer, key, { token, ms }));
}

/** The database's clock, as it shows in error states. */
async function clockOf<Tx>({ consumers }: Store<Tx>): Promise<number> {
  await consumers.recordError("clock", new Error("tick"));
  const [segment] = (await consumers.get("clock"))?.segments ?? [];
  return segment?.error?.lastAt.getTime() ?? Number.NaN;
}

/** Looks at the clock by no more than a read: by how long ago a deadline was due. */
async function clockBeside<Tx>(store: Store<Tx>): Promise<() => Promise<number>> {
  const key = { name: "clock", version: 1 };
  await store.consumers.declare(key, { kind: "saga" });
  const zone = await store.enterZone(key);
  assert.ok(zone !== undefined);
  await zone.commit(async ({ records }) => {
    await records.deadlines.set("clock", { sagaId: "clock", name: "start", dueAt: new Date(0), data: null });
    return zone.position;
  });
  await zone.leave();
  return async () => {
    const [sight] = await store.consumers.look([{ key, saga: "clock" }]);
    return -(sight?.dueInMs ?? Number.NaN);
  };
}

/** Claims a key as soon as the claim of its holder has expired. */
function takeOver(claims: Claims, key: string, token: string): Promise<true> {
  return eventually(
    "A claim that has expired can be taken over",
    async () => (await claim(claims, key, token)) === "claimed",
  );
}

/** Lets the time of a claim go by that began after everything before. */
async function expireOne(claims: Claims): Promise<void> {
  await claim(claims, "an hourglass", "first", 1);
  await takeOver(claims, "an hourglass", "second");
}

/** No longer than allowed, and without what is refused. */
function cut(text: string): string {
  return text.replaceAll(/[\0\ud800]/g, "").slice(0, 100) || "a";
}

import assert from "node:assert/strict";
import { override } from "@tidemark/conformance";
import type { ConsumerSight } from "@tidemark/core";
import { appliedBy, deposit, fill, isCaughtUp, isExactlyOnce, ledger } from "./ledger.ts";
import { seeing, withConsumers } from "./lies.ts";
import { promoteWhenEqual } from "@tidemark/worker";
import { eventually, turn, type WorkerLaw, type Yard } from "./yard.ts";

/** Other numbers of segments, other versions. */
export const changing: readonly WorkerLaw[] = [
  {
    id: "worker/resegment/split",
    promise: "Segments are split under load, and every event is applied once, in the order of its aggregate.",
    check: (yard) => resegment(yard, 4, 16),
    tooth: {
      lie: "does not see that another layout is wanted",
      store: (real) => seeing(real, (sight) => ({ ...sight, layout: undefined })),
    },
  },
  {
    id: "worker/resegment/merge",
    promise: "Segments are merged under load, and every event is applied once, in the order of its aggregate.",
    check: (yard) => resegment(yard, 8, 2),
    tooth: {
      lie: "takes the new layout for written and never writes it",
      store: (real) => withConsumers(real, () => ({ finishResegment: async () => "none" })),
    },
  },
  {
    id: "worker/rebuild/behind",
    promise: "A version that is not active never passes the active one, is not live, and goes on when that does.",
    async check(yard) {
      await fill(yard.store, 60);
      const first = await yard.hire({ consumers: [ledger({ name: "book", segments: 2 })] });
      await eventually("The active version has caught up", () => isCaughtUp(yard.store, "book"));
      await first.worker.drain();
      const stopped = await yard.store.consumers.get("book");
      await fill(yard.store, 120, 61);
      const second = await yard.hire({ consumers: [ledger({ name: "book", version: 2, segments: 2 })] });
      await eventually("The new version has got to where the active one stands", async () => {
        const state = await yard.store.consumers.get({ name: "book", version: 2 });
        return state?.segments.every(({ position }, index) => position === stopped?.segments[index]?.position);
      });
      await turn(200);
      const state = await yard.store.consumers.get({ name: "book", version: 2 });
      for (const [index, segment] of (state?.segments ?? []).entries()) {
        assert.equal(segment.position, stopped?.segments[index]?.position, "Nowhere past the active version.");
      }
      const rebuild = second.worker.status().consumers[0]?.rebuild;
      assert.equal(rebuild?.version, 1, "The status says whose place it is after.");
      assert.equal(rebuild?.remaining, 0n);
      assert.ok(
        (await appliedBy(yard.store, "book", 2)).every(({ live }) => !live),
        "None of it was live.",
      );
      const again = await yard.hire({ consumers: [ledger({ name: "book", segments: 2 })] });
      await eventually("It goes on behind it", () => isCaughtUp(yard.store, "book", 2));
      await again.worker.drain();
      await isExactlyOnce(yard.store, yard.store, "book", 2);
    },
    tooth: {
      lie: "takes every version for the active one",
      store: (real) => seeing(real, (sight) => ({ ...sight, active: true })),
    },
  },
  {
    id: "worker/rebuild/promote",
    promise:
      "Promoted under load, one version takes over from another: each is complete, and every event is live in one of them.",
    async check(yard) {
      await fill(yard.store, 100);
      const consumers = [ledger({ name: "book", segments: 2 }), ledger({ name: "book", version: 2, segments: 2 })];
      // The first version is there first.
      await yard.store.consumers.declare("book", { kind: "projector", segments: 2 });
      const hired = [await yard.hire({ consumers }), await yard.hire({ consumers })];
      await eventually("The new version is there", () => yard.store.consumers.get({ name: "book", version: 2 }));
      let isDecided = false;
      const promotion = promoteWhenEqual(yard.store, "book", { from: 1, to: 2, pauseMs: 15_000 }).finally(
        () => (isDecided = true),
      );
      promotion.catch(() => undefined);
      let amount = 100;
      do {
        await fill(yard.store, amount + 20, amount + 1);
        amount += 20;
      } while (!isDecided && amount < 5_000);
      await promotion.catch((error: unknown) => assert.fail(`The new version is not promoted: ${String(error)}`));
      await fill(yard.store, amount + 60, amount + 1);
      await eventually("The new version has caught up", () => isCaughtUp(yard.store, "book", 2));
      await isExactlyOnce(yard.store, yard.store, "book", 2);
      const [old, fresh] = [await appliedBy(yard.store, "book", 1), await appliedBy(yard.store, "book", 2)];
      const live = [...old, ...fresh.filter((one) => one.live)].map(({ position }) => position);
      assert.ok(
        old.every((one) => one.live),
        "The old version was live to its end.",
      );
      assert.equal(new Set(live).size, live.length, "No event was live in both.");
      assert.equal(live.length, fresh.length, "Every event was live in one.");
      await yard.store.consumers.retire({ name: "book", version: 1 });
      await eventually("Nothing is left of the old version", () =>
        hired.every(({ worker }) => worker.status().consumers[0]?.state === "deleted"),
      );
    },
    tooth: {
      lie: "believes that every version is live",
      store: (real) => seeing(real, (sight) => ({ ...sight, active: true })),
    },
  },
  {
    id: "worker/rebuild/entered-late",
    promise: "Who enters a zone of a version right after another one has taken its place handles nothing there.",
    async check(yard) {
      await fill(yard.store, 60);
      await yard.store.consumers.declare("book", { kind: "projector" });
      await yard.store.consumers.declare({ name: "book", version: 2 }, { kind: "projector" });
      let hasEntered = false;
      const store = override(await yard.open(), (real) => ({
        enterZone: async (consumer, options) => {
          if (!hasEntered) await yard.store.consumers.promote("book", { from: 1, to: 2 });
          const zone = await real.enterZone(consumer, options);
          hasEntered = true;
          return zone;
        },
      }));
      // What it has seen before stays fresh for longer than the law takes.
      await yard.hire({ consumers: [ledger({ name: "book" })], poll: { minMs: 5, maxMs: 60_000 } }, { store });
      await eventually("It has entered the zone, and left it", async () => {
        const state = await yard.store.consumers.get("book");
        return hasEntered && state?.segments.every(({ owner }) => owner === undefined);
      });
      assert.deepEqual(await appliedBy(yard.store, "book", 1), []);
    },
    tooth: {
      lie: "goes by what it has seen before it entered",
      store: (real) => {
        let seen: Promise<readonly (ConsumerSight | undefined)[]> | undefined;
        return withConsumers(real, ({ look }) => ({ look: (...args) => (seen ??= look(...args)) }));
      },
    },
  },
  {
    id: "worker/foreign-log",
    promise: "Consumers of another log run beside those of the store's own, each with its own log.",
    async check(yard) {
      const elsewhere = await (await yard.another()).open();
      await yard.hire({
        consumers: [
          { consumer: ledger({ name: "theirs", segments: 2 }), log: elsewhere },
          ledger({ name: "ours", segments: 2 }),
        ],
      });
      await fill(elsewhere, 30);
      await fill(yard.store, 20, 1_001);
      await eventually("Both have caught up", async () => {
        return (await isCaughtUp(yard.store, "theirs", 1, elsewhere)) && (await isCaughtUp(yard.store, "ours"));
      });
      await isExactlyOnce(elsewhere, yard.store, "theirs");
      await isExactlyOnce(yard.store, yard.store, "ours");
      await elsewhere.append(deposit(31));
      await eventually("News of the other log wake it", () => isCaughtUp(yard.store, "theirs", 1, elsewhere));
    },
    tooth: {
      lie: "reads the store's own log whatever it was told",
      options: (real) => ({
        ...real,
        consumers: real.consumers.map((one) => ("consumer" in one ? one.consumer : one)),
      }),
    },
  },
];

async function resegment<Tx>(yard: Yard<Tx>, from: number, to: number): Promise<void> {
  const consumers = [ledger<Tx>({ name: "book", segments: from })];
  await fill(yard.store, 100);
  await yard.hire({ consumers });
  await yard.hire({ consumers });
  await eventually("All is applied before", () => isCaughtUp(yard.store, "book"));
  let amount = 100;
  const more = async (): Promise<void> => {
    await fill(yard.store, amount + 20, amount + 1);
    amount += 20;
  };
  await more();
  await yard.store.consumers.resegment("book", to);
  await eventually(`It has ${to} segments`, async () => {
    await more();
    return (await yard.store.consumers.get("book"))?.segments.length === to;
  });
  await more();
  await eventually("All is applied afterwards", () => isCaughtUp(yard.store, "book"));
  await isExactlyOnce(yard.store, yard.store, "book");
}

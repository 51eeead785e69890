import { type Position, START } from "@tidemark/core";
import { declare, enter, ORDERS, threeSteps } from "../consumers.ts";
import { deposit } from "../events.ts";
import { assert, collect, eventually, fulfils, later, outcome, refuses } from "../expect.ts";
import { changeRecords, unavailable, vanishing } from "../faults.ts";
import type { Law } from "../law.ts";
import { fencesNothing, operates, showsRows, unless } from "../lies/zones.ts";
import { movesTheNewOne, promotesFromTheBeginning, promotesNothing, saysDoneTo } from "../lies/versions.ts";
import { at, depositTo, hold, observer, sight, telling } from "../observers.ts";
import { applied, applyFor, type Deposit, projector } from "../projectors.ts";
import { lawsAbout, type Scene, type SceneLaw } from "../scene.ts";

const { withOwnLog, withForeignLog } = lawsAbout("versions");

const FIRST = { name: ORDERS, version: 1 };
const SECOND = { name: ORDERS, version: 2 };

const written: readonly SceneLaw[] = [
  {
    name: "first-is-active",
    promise: "Of the versions of a consumer the one that was declared first is active, of several at once exactly one.",
    tooth: showsRows("takes every version for active", (row) => ({ ...row, active: true })),
    check: async ({ store, open }) => {
      const others = [await open(), await open()];
      await store.consumers.disable({ name: "one", version: 1 });
      assert.equal((await store.consumers.get("one"))?.active, false, "One that is not declared is not.");
      await store.consumers.declare({ name: "one", version: 2 }, { kind: "projector" });
      await store.consumers.declare({ name: "one", version: 1 }, { kind: "projector" });
      assert.deepEqual(await activeOf(store, "one"), [2]);
      await Promise.all(
        [3, 1, 2, 4].map((version, index) =>
          (others[index % 3] ?? store).consumers.declare({ name: "raced", version }, { kind: "projector" }),
        ),
      );
      assert.equal((await activeOf(store, "raced")).length, 1);
    },
  },
  {
    name: "live",
    promise: "Handlers of a version that is not the active one are told that they are not live.",
    tooth: showsRows("takes every version for active", (row) => ({ ...row, active: true })),
    check: async ({ log, run }) => {
      await log.append(deposit("a"));
      const told: (readonly [number, boolean])[] = [];
      for (const version of [1, 2]) {
        await run(projector((_event, { live }) => void told.push([version, live]), { version }));
      }
      for (const version of [1, 2]) {
        await run(observer((_event, { live }) => void told.push([version, live]), { version, name: "observer" }));
      }
      assert.deepEqual(told, [
        [1, true],
        [2, false],
        [1, true],
        [2, false],
      ]);
    },
  },
  {
    name: "promote",
    promise: "A promoted version is active and enabled, and the old one neither; promoting it again changes nothing.",
    tooth: promotesNothing,
    check: async ({ store, open }) => {
      await declare(store);
      await store.consumers.declare(SECOND, { kind: "projector" });
      await store.consumers.disable(SECOND);
      await store.consumers.promote(ORDERS, { from: 1, to: 2 });
      const rows = await collect(store.consumers.list());
      assert.deepEqual(
        rows.map(({ version, active, enabled }) => [version, active, enabled]),
        [
          [1, false, false],
          [2, true, true],
        ],
      );
      const away = await open({ retry: { attempts: 1 } });
      await fulfils(away.consumers.promote(ORDERS, { from: 1, to: 2 }), "A repeated promotion is no mistake");
      assert.deepEqual(await collect(store.consumers.list()), rows);
    },
  },
  {
    name: "promote/positions",
    promise: "A version that stands elsewhere than the active one is not promoted, and nothing changes.",
    tooth: movesTheNewOne,
    check: async ({ store }) => {
      const [, second] = await threeSteps(store);
      await declare(store, ORDERS, { segments: 2, start: { position: second } });
      await store.consumers.declare(SECOND, { kind: "projector", segments: 2, start: { position: second } });
      const zone = await enter(store, ORDERS, { segment: 1 });
      const head = await store.head();
      await zone.commit(() => head);
      await zone.leave();
      await refusesUnchanged({ store, reason: "positions", versions: { from: 1, to: 2 } });
    },
  },
  {
    name: "promote/segments",
    promise: "A version with another number of segments, or on its way to one, is not promoted, and nothing changes.",
    tooth: saysDoneTo("segments", "takes any number of segments for the same"),
    check: async ({ store }) => {
      await declare(store, ORDERS, { segments: 2 });
      await store.consumers.declare(SECOND, { kind: "projector", segments: 4 });
      await refusesUnchanged({ store, reason: "segments", versions: { from: 1, to: 2 } });
      await store.consumers.resegment(SECOND, 2);
      await refusesUnchanged({ store, reason: "segments", versions: { from: 1, to: 2 } });
      assert.equal(await store.consumers.finishResegment(SECOND), "done");
      await store.consumers.resegment(FIRST, 8);
      await refusesUnchanged({ store, reason: "segments", versions: { from: 1, to: 2 } });
      await store.consumers.cancelResegment(FIRST);
      await fulfils(store.consumers.promote(ORDERS, { from: 1, to: 2 }), "The same layout is promoted");
    },
  },
  {
    name: "promote/inactive",
    promise: "A version takes the place of the active one only.",
    tooth: saysDoneTo("inactive", "takes any version for the active one"),
    check: async ({ store }) => {
      await declare(store);
      for (const version of [2, 3]) await store.consumers.declare({ name: ORDERS, version }, { kind: "projector" });
      await refusesUnchanged({ store, reason: "inactive", versions: { from: 2, to: 3 } });
    },
  },
  {
    name: "promote/refused",
    promise: "A version that is not declared, one of another kind, one of a saga, and the same one are not promoted.",
    tooth: operates("lets a saga be promoted", (real) => ({
      promote: (...args) => unless("INVALID_ARGUMENT", real.promote(...args), async () => undefined),
    })),
    check: async ({ store }) => {
      const promote = (name: string, to = 2): Promise<void> => store.consumers.promote(name, { from: 1, to });
      await refuses("CONSUMER_UNKNOWN", promote(ORDERS));
      await declare(store);
      await refuses("CONSUMER_UNKNOWN", promote(ORDERS));
      await store.consumers.disable(SECOND);
      await refuses("CONSUMER_UNKNOWN", promote(ORDERS));
      await refuses("INVALID_ARGUMENT", promote(ORDERS, 1));
      await store.consumers.declare(SECOND, { kind: "observer" });
      await refuses("CONSUMER_MISMATCH", promote(ORDERS));
      for (const version of [1, 2]) await store.consumers.declare({ name: "saga", version }, { kind: "saga" });
      await refuses("INVALID_ARGUMENT", promote("saga"));
    },
  },
  {
    name: "promote/fences-both",
    promise: "Who holds either version when it is promoted commits nothing any more, and both zones are free.",
    tooth: fencesNothing,
    check: async ({ store, open }) => {
      const others = [await open(), await open()];
      const [step] = await threeSteps(store);
      const zones = [];
      for (const [index, version] of [1, 2].entries()) {
        const consumer = { name: ORDERS, version };
        await store.consumers.declare(consumer, { kind: "projector" });
        zones.push(await others[index]?.enterZone(consumer));
      }
      await store.consumers.promote(ORDERS, { from: 1, to: 2 });
      for (const zone of zones) {
        assert.ok(zone !== undefined);
        await refuses(
          "ZONE_LOST",
          zone.commit(() => step),
        );
      }
      for (const consumer of [FIRST, SECOND]) {
        const zone = await store.enterZone(consumer);
        assert.ok(zone !== undefined && zone.position === START, "The zone is free, its checkpoint where it was.");
        assert.ok(
          zones.every((old) => old !== undefined && zone.token > old.token),
          "Its token is above both.",
        );
      }
    },
  },
  {
    name: "promote/completed-ahead",
    promise: "What an observer had completed ahead of its checkpoint is not repeated by the version that replaces it.",
    tooth: {
      lie: "forgets with the old version what it had completed ahead",
      adapter: (real) =>
        changeRecords(real, (records) => ({
          promote: async (name, from, to, op) => {
            const result = await records.promote(name, from, to, op);
            if (result === "done") await records.reset({ name, version: to }, START, op);
            return result;
          },
        })),
    },
    check: async ({ log, run, open, store }) => {
      const positions = await depositTo(log, ["a", "b", "c"]);
      const held = hold(1);
      const recorded = new Set<Position>();
      const victim = await open({}, (real) =>
        telling(vanishing(real), (done) => done.forEach((position) => recorded.add(position))),
      );
      const cycle = later(run(observer(held.handle), { leaseMs: 1 }, victim));
      await eventually("What is done ahead is recorded", () => recorded.has(at(positions, 2)));
      await store.consumers.declare(SECOND, { kind: "observer", start: "beginning", log });
      await store.consumers.promote(ORDERS, { from: 1, to: 2 });
      const { seen, handle } = sight();
      await run(observer(handle, { version: 2 }));
      assert.deepEqual(seen, [1], "Only what was under way is observed again.");
      held.letGo();
      await outcome(cycle);
    },
  },
  {
    name: "promote/letters",
    promise: "Each version keeps the dead letters that it has parked itself, before and after its promotion.",
    tooth: {
      lie: "forgets the letters of the version that is replaced",
      adapter: (real) =>
        changeRecords(real, (records) => ({
          promote: async (name, from, to, op) => {
            const result = await records.promote(name, from, to, op);
            const key = { name, version: from };
            await real.transaction(async (tx) => {
              const query = { after: START, limit: 100, requested: false, sequence: undefined };
              for (const { position } of await real.deadLetters.list(key, query, op)) {
                await real.within(tx).deadLetters.remove(key, position, op);
              }
            }, op);
            return result;
          },
        })),
    },
    check: async ({ log, run, store }) => {
      await log.append(deposit("a", 2));
      for (const version of [1, 2]) {
        const parks = (event: Deposit): void => {
          if (event.data.amount === version) throw new Error("poison");
        };
        await run(projector(parks, { version, failure: { attempts: 1, then: "park" } }));
      }
      await store.consumers.promote(ORDERS, { from: 1, to: 2 });
      const parked = async (version: number): Promise<readonly unknown[]> =>
        (await collect(store.deadLetters.list({ name: ORDERS, version }))).map(({ event }) => event.version);
      assert.deepEqual([await parked(1), await parked(2)], [[1, 2], [2]]);
    },
  },
  {
    name: "retire",
    promise: "Retiring a version forgets it, unless it is the active one; the others and unknown ones are left alone.",
    tooth: operates("retires the active version", (real) => ({
      retire: (...args) => unless("VERSION_ACTIVE", real.retire(...args), async () => undefined),
    })),
    check: async ({ store }) => {
      for (const version of [1, 2]) await store.consumers.declare({ name: ORDERS, version }, { kind: "projector" });
      await refuses("VERSION_ACTIVE", store.consumers.retire(FIRST));
      await refuses("VERSION_ACTIVE", store.consumers.delete(FIRST));
      await store.consumers.promote(ORDERS, { from: 1, to: 2 });
      await fulfils(store.consumers.retire({ name: ORDERS, version: 7 }), "Retiring what is not there is allowed");
      await store.consumers.retire(FIRST);
      assert.equal(await store.consumers.get(FIRST), undefined);
      await refuses("VERSION_ACTIVE", store.consumers.retire(SECOND));
      assert.deepEqual(await activeOf(store, ORDERS), [2]);
      await store.consumers.delete(SECOND);
      assert.equal(await store.consumers.get(SECOND), undefined, "The last version can be deleted.");
      await declare(store);
      assert.deepEqual(await activeOf(store, ORDERS), [1]);
    },
  },
  {
    name: "promote/lost-answer",
    promise: "A promotion whose answer was lost can be asked for again.",
    tooth: operates("refuses what is done already", (real) => ({
      promote: async (name, versions, op) => {
        const done = (await real.get({ name, version: versions.to }))?.active === true;
        if (done) throw unavailable();
        await real.promote(name, versions, op);
      },
    })),
    check: async ({ store, open }) => {
      for (const version of [1, 2]) await store.consumers.declare({ name: ORDERS, version }, { kind: "projector" });
      const away = await open({ retry: { attempts: 1 } }, (real) =>
        changeRecords(real, (records) => ({
          promote: async (...args) => {
            await records.promote(...args);
            throw unavailable();
          },
        })),
      );
      await outcome(away.consumers.promote(ORDERS, { from: 1, to: 2 }));
      await fulfils(store.consumers.promote(ORDERS, { from: 1, to: 2 }), "It is done, and that is what was wanted");
      assert.deepEqual(await activeOf(store, ORDERS), [2]);
    },
  },
];

const rebuild: SceneLaw = {
  name: "promote/rebuild",
  promise:
    "A version that is rebuilt beside the active one and promoted has the effect of every event once, and each event is handled live once, by one of the two.",
  tooth: promotesFromTheBeginning,
  check: async ({ log, run, store }) => {
    const live: number[] = [];
    const version = <Tx>(number: number): ReturnType<typeof projector<Tx>> =>
      projector<Tx>(
        async (event, context) => {
          await applyFor(`version ${number}`)(event, context);
          if (context.live) live.push(event.data.amount);
        },
        { version: number },
      );
    const bound = async (): Promise<Position> => (await store.consumers.get(FIRST))?.segments[0]?.position ?? START;
    await depositTo(log, ["a", "b", "c"]);
    await run(version(1));
    for (let amount = 4; amount <= 9; amount++) {
      await depositTo(log, ["a"], amount);
      if (amount % 2 === 0) await run(version(1));
      const until = await bound();
      const result = await run(version(2), { until, maxEvents: 2 });
      assert.ok(result.kind !== "busy" && result.position <= until, "It never gets past the active version.");
    }
    await run(version(1));
    await refuses("PROMOTION_REFUSED", store.consumers.promote(ORDERS, { from: 1, to: 2 }));
    await store.consumers.disable(FIRST);
    await depositTo(log, ["b"], 10);
    assert.equal((await run(version(1))).kind, "disabled");
    assert.equal((await run(version(2), { until: await bound() })).kind, "until");
    await store.consumers.promote(ORDERS, { from: 1, to: 2 });
    await run(version(2));
    const all = Array.from({ length: 10 }, (_, index) => index + 1);
    assert.deepEqual(await applied(store, "version 2"), all);
    assert.deepEqual(
      live.toSorted((a, b) => a - b),
      all,
    );
  },
};

export const versionLaws: readonly Law[] = [...written.map(withOwnLog), withOwnLog(rebuild), withForeignLog(rebuild)];

async function activeOf<Tx>(store: Scene<Tx>["store"], name: string): Promise<readonly number[]> {
  const rows = await collect(store.consumers.list());
  return rows.filter((row) => row.name === name && row.active).map(({ version }) => version);
}

async function refusesUnchanged<Tx>({
  store,
  reason,
  versions,
}: {
  readonly store: Scene<Tx>["store"];
  readonly reason: string;
  readonly versions: { readonly from: number; readonly to: number };
}): Promise<void> {
  const before = await collect(store.consumers.list());
  const refused = await refuses("PROMOTION_REFUSED", store.consumers.promote(ORDERS, versions));
  assert.equal(refused.details.reason, reason);
  assert.deepEqual(await collect(store.consumers.list()), before, "Nothing has changed.");
}

import { type ConsumerSight, runInZone, START } from "@tidemark/core";
import { declare, enter, ORDERS, threeSteps } from "../consumers.ts";
import { account, deposit } from "../events.ts";
import { assert, eventually, FULFILLED, later, outcome, refuses } from "../expect.ts";
import { changeRecords, unavailable, unaware, vanishing } from "../faults.ts";
import type { Law } from "../law.ts";
import { consumesWith } from "../lies/consuming.ts";
import {
  blamesTheFirst,
  evicts,
  forgetsLayout,
  forgetsWhatIsAhead,
  keepsErrorsOfAll,
  keepsThePosition,
  lastRequestWins,
  looksOnceOnly,
  startsAnew,
  takesTheFirst,
  waitsForNobody,
  writesAgain,
} from "../lies/segments.ts";
import { fencesNothing, operates, unless } from "../lies/zones.ts";
import { at, depositTo, hold, observer, sight, telling } from "../observers.ts";
import { applied, apply, batchProjector, type Deposit, isAmount, projector } from "../projectors.ts";
import { lawsAbout, type SceneLaw } from "../scene.ts";
import { accountIn, ACCOUNTS, assertAll, positionsOf, rounds, runAll, tracing, trail } from "../segments.ts";

const { withOwnLog, withForeignLog } = lawsAbout("segments");

/** These hold with the events beside the state, and with the events in another log. */
const inAnyLog: readonly SceneLaw[] = [
  {
    name: "once-each",
    promise: "Each event is handled in exactly one segment, and those of an aggregate in the same one, in order.",
    tooth: forgetsLayout,
    check: async (scene) => {
      await rounds(scene.log, 3);
      await declare(scene.store, ORDERS, { segments: 4, log: scene.log });
      const given = trail();
      const ends: number[] = [];
      await runAll(scene, (segments) => {
        ends.push(given.steps.length);
        return tracing(given, { segments });
      });
      assertAll(given, 3);
      const parts = ends.map((from, index) => new Set(given.steps.slice(from, ends[index + 1]).map(({ id }) => id)));
      assert.ok(
        parts.every((part) => part.size > 0 && part.size < ACCOUNTS.length),
        "Every segment has some of the aggregates.",
      );
      assert.equal(
        parts.reduce((sum, part) => sum + part.size, 0),
        ACCOUNTS.length,
        "No aggregate is in two segments.",
      );
    },
  },
  {
    name: "observer/once-each",
    promise: "Each event is observed in exactly one segment, those of an aggregate in order.",
    tooth: forgetsLayout,
    check: async (scene) => {
      await rounds(scene.log, 3);
      await declare(scene.store, ORDERS, { kind: "observer", start: "beginning", segments: 4, log: scene.log });
      const given = trail();
      await runAll(scene, (segments) => observer(given.handle, { segments }));
      assertAll(given, 3);
    },
  },
  {
    name: "until/projector",
    promise:
      "A projector that has to stop at a position handles everything up to it, and its checkpoint is exactly that.",
    tooth: consumesWith("goes on past where it has to stop", { until: undefined }),
    check: async ({ store, log, run }) => {
      const positions = await depositTo(log, ["a", "b", "a", "b", "a"]);
      await log.append({ aggregate: account("a"), events: [{ type: "closed", data: null }] });
      const past = await log.head();
      await log.append(deposit("c"));
      const until = at(positions, 2);
      const first = await run(projector(apply), { until, fetchSize: 2 });
      assert.deepEqual(first, { kind: "until", handled: 3, position: until });
      assert.equal(await store.consumers.checkpoint(ORDERS), until);
      assert.deepEqual(await run(projector(apply), { until }), { kind: "until", handled: 0, position: until });
      // Behind the last event of its own, at one that it does not get.
      assert.deepEqual(await run(projector(apply), { until: past }), { kind: "until", handled: 2, position: past });
      assert.deepEqual(await applied(store), [1, 2, 3, 4, 5]);
      const last = await run(projector(apply));
      assert.deepEqual([last.kind, (await applied(store)).length], ["caught-up", 6]);
    },
  },
  {
    name: "until/observer",
    promise:
      "An observer that has to stop at a position handles everything up to it, and its checkpoint is exactly that.",
    tooth: consumesWith("goes on past where it has to stop", { until: undefined }),
    check: async ({ store, log, run }) => {
      const positions = await depositTo(log, ["a", "b", "a", "b", "a"]);
      const { seen, handle } = sight();
      const until = at(positions, 2);
      assert.deepEqual(await run(observer(handle), { until }), { kind: "until", handled: 3, position: until });
      assert.equal(await store.consumers.checkpoint(ORDERS), until);
      assert.deepEqual(
        seen.toSorted((a, b) => a - b),
        [1, 2, 3],
      );
      await run(observer(handle));
      assert.deepEqual(
        seen.toSorted((a, b) => a - b),
        [1, 2, 3, 4, 5],
      );
    },
  },
];

const resegmentLaws: readonly SceneLaw[] = [
  {
    name: "resegment/split-and-merge",
    promise:
      "Splitting and merging a projector under load leaves the effect of every event once, in the order of its aggregate.",
    tooth: startsAnew,
    check: async (scene) => {
      const { log, run, store } = scene;
      const given = trail();
      let round = 1;
      await rounds(log, 2, round);
      await run(tracing(given), { maxEvents: 5 });
      for (const segments of [4, 2, 8, 1]) {
        await rounds(log, 1, (round += 1) + 1);
        await store.consumers.resegment(ORDERS, segments, { log });
        await eventually("The new layout is written", async () => {
          if (round < 12) await rounds(log, 1, (round += 1) + 1);
          await runAll(scene, (stored) => tracing(given, { segments: stored }));
          return (await store.consumers.get(ORDERS))?.segments.length === segments;
        });
        await runAll(scene, (stored) => tracing(given, { segments: stored }));
      }
      assertAll(given, round + 1);
    },
  },
  {
    name: "resegment/not-before-drained",
    promise:
      "A layout is not written before every segment has stopped at the position, and nothing changes until then.",
    tooth: waitsForNobody,
    check: async ({ log, run, store }) => {
      await rounds(log, 2);
      const given = trail();
      await declare(store, ORDERS, { segments: 2, log });
      await store.consumers.resegment(ORDERS, 4, { log });
      const asked = await store.consumers.get(ORDERS);
      assert.deepEqual(asked?.layout, { segments: 4, position: await log.head() });
      assert.equal(await store.consumers.finishResegment(ORDERS), "not-drained");
      assert.equal((await run(tracing(given, { segments: 2 }), { segment: 1 })).kind, "until");
      assert.equal(await store.consumers.finishResegment(ORDERS), "not-drained", "One has stopped, one has not.");
      assert.deepEqual([(await store.consumers.get(ORDERS))?.generation, (await positionsOf(store)).length], [1, 2]);
      await run(tracing(given, { segments: 2 }), { segment: 0 });
      assert.deepEqual(
        await positionsOf(store),
        Array.from({ length: 4 }, () => asked?.layout?.position),
        "The last one to stop has written it, all segments at the position.",
      );
    },
  },
  {
    name: "resegment/held",
    promise: "A layout is not written while somebody holds a segment, and is as soon as nobody does.",
    tooth: evicts,
    check: async ({ log, store }) => {
      await declare(store, ORDERS, { segments: 2, log });
      const zone = await enter(store, ORDERS, { segment: 1, log });
      await store.consumers.resegment(ORDERS, 1, { log });
      assert.equal(await store.consumers.finishResegment(ORDERS), "held");
      await zone.leave();
      assert.equal(await store.consumers.finishResegment(ORDERS), "done");
      const state = await store.consumers.get(ORDERS);
      assert.deepEqual([state?.generation, state?.segments.length, state?.layout], [2, 1, undefined]);
    },
  },
  {
    name: "resegment/went-past",
    promise: "A segment that has gone past the position before it learned of it takes the others along.",
    tooth: keepsThePosition,
    check: async (scene) => {
      const { log, run, store } = scene;
      await rounds(log, 1);
      await declare(store, ORDERS, { segments: 2, log });
      const zone = await enter(store, ORDERS, { segment: 0, log });
      await store.consumers.resegment(ORDERS, 4, { log });
      await rounds(log, 1, 2);
      const past = await log.head();
      await zone.commit(() => past);
      await zone.leave();
      assert.equal(await store.consumers.finishResegment(ORDERS), "not-drained");
      assert.deepEqual((await store.consumers.get(ORDERS))?.layout, { segments: 4, position: past });
      const result = await run(tracing(trail(), { segments: 2 }), { segment: 1 });
      assert.deepEqual([result.kind, (await positionsOf(store)).length], ["until", 4]);
      assert.deepEqual(new Set(await positionsOf(store)), new Set([past]));
    },
  },
  {
    name: "resegment/fenced",
    promise: "Who held a segment of the old layout commits nothing any more, and every token of the new one is higher.",
    tooth: fencesNothing,
    check: async ({ store, open }) => {
      const stale = await open({}, unaware);
      await declare(store, ORDERS, { segments: 2 });
      const old = await enter(stale, ORDERS, { leaseMs: 1 });
      await store.consumers.resegment(ORDERS, 4);
      await eventually("The lease runs out", async () => (await store.consumers.finishResegment(ORDERS)) === "done");
      const [step] = await threeSteps(store);
      await refuses(
        "ZONE_LOST",
        old.commit(() => step),
      );
      for (const segment of [0, 1, 2, 3]) {
        const zone = await enter(store, ORDERS, { segment });
        assert.ok(zone.token > old.token, `Token ${zone.token} is above ${old.token}.`);
        assert.deepEqual([zone.position, zone.segments], [START, 4]);
      }
    },
  },
  {
    name: "resegment/one-at-a-time",
    promise: "Another number of segments is refused while one is asked for; the same one again changes nothing.",
    tooth: lastRequestWins,
    check: async ({ store }) => {
      const [first, , head] = await threeSteps(store);
      await declare(store, ORDERS, { start: { position: first } });
      await store.consumers.resegment(ORDERS, 1);
      assert.equal((await store.consumers.get(ORDERS))?.layout, undefined, "It has one segment already.");
      await store.consumers.resegment(ORDERS, 4);
      await threeSteps(store);
      await store.consumers.resegment(ORDERS, 4);
      assert.deepEqual((await store.consumers.get(ORDERS))?.layout, { segments: 4, position: head });
      const refused = await outcome(store.consumers.resegment(ORDERS, 2));
      assert.notEqual(refused, FULFILLED, "Another number is refused.");
      await refuses("RESEGMENTING", Promise.reject(refused));
      await store.consumers.cancelResegment(ORDERS);
      assert.equal(await store.consumers.finishResegment(ORDERS), "none");
      assert.equal((await store.consumers.get(ORDERS))?.generation, 1);
    },
  },
  {
    name: "resegment/refused",
    promise: "What is no number of segments, a saga and a consumer that nobody has declared cannot be resegmented.",
    tooth: operates("lets a saga be split", (real) => ({
      resegment: (...args) => unless("INVALID_ARGUMENT", real.resegment(...args), async () => undefined),
    })),
    check: async ({ store }) => {
      await refuses("CONSUMER_UNKNOWN", store.consumers.resegment(ORDERS, 2));
      await refuses("CONSUMER_UNKNOWN", store.consumers.cancelResegment(ORDERS));
      await refuses("CONSUMER_UNKNOWN", store.consumers.finishResegment(ORDERS));
      await declare(store, "saga", { kind: "saga" });
      await refuses("INVALID_ARGUMENT", store.consumers.resegment("saga", 2));
      await refuses("INVALID_ARGUMENT", store.consumers.declare("other saga", { kind: "saga", segments: 2 }));
      assert.equal(await store.consumers.get("other saga"), undefined);
      await declare(store);
      for (const segments of [0, 3, 2_048]) {
        await refuses("INVALID_ARGUMENT", store.consumers.resegment(ORDERS, segments));
      }
    },
  },
  {
    name: "resegment/mismatch",
    promise:
      "A consumer is run by its stored number of segments or the one that is asked for; any other is refused, with the way.",
    tooth: operates("takes any number of segments for the stored one", (real) => ({
      declare: (consumer, options) =>
        unless("CONSUMER_MISMATCH", real.declare(consumer, options), async () =>
          real.declare(consumer, { ...options, segments: (await real.get(consumer))?.segments.length }),
        ),
    })),
    check: async ({ run, store }) => {
      await run(projector(apply));
      const refused = await refuses("CONSUMER_MISMATCH", run(projector(apply, { segments: 2 }), { segment: 0 }));
      assert.match(refused.message, /consumers\.resegment/);
      await store.consumers.resegment(ORDERS, 2);
      assert.equal((await run(projector(apply, { segments: 2 }))).kind, "until", "Who knows the new one may help.");
      await refuses("CONSUMER_MISMATCH", run(projector(apply), { segment: 0 }));
      assert.equal((await run(projector(apply, { segments: 2 }), { segment: 1 })).kind, "caught-up");
    },
  },
  {
    name: "resegment/completed-ahead",
    promise: "What an observer had completed ahead of its checkpoint is not repeated under the new layout.",
    tooth: forgetsWhatIsAhead,
    check: async (scene) => {
      const { log, run, open, store, adapter } = scene;
      const positions = await depositTo(log, ["a", "b", "c"]);
      const held = hold(1);
      const recorded = new Set<unknown>();
      const victim = await open({}, (real) =>
        telling(vanishing(real), (done) => done.forEach((position) => recorded.add(position))),
      );
      const cycle = later(run(observer(held.handle), { leaseMs: 1 }, victim));
      await eventually("What is done ahead is recorded", () => recorded.has(at(positions, 2)));
      // As if it had been asked for before the others were appended, and they were read before that was known.
      const other = adapter();
      await other.open("check", {});
      const layout = { segments: 2, position: at(positions, 0) };
      await other.consumers.requestLayout({ name: ORDERS, version: 1 }, layout, {});
      await other.close();
      const { seen, handle } = sight();
      const stopped = await eventually("The lease runs out", async () => {
        const result = await run(observer(handle));
        return result.kind === "until" && result;
      });
      assert.deepEqual([stopped.position, seen], [at(positions, 0), [1]]);
      assert.equal((await store.consumers.get(ORDERS))?.segments.length, 2, "It has two segments now.");
      await runAll(scene, (segments) => observer(handle, { segments }));
      assert.deepEqual(seen, [1], "What was completed is not repeated.");
      held.letGo();
      await outcome(cycle);
    },
  },
  {
    name: "resegment/lost-answer",
    promise: "Writing a layout again, because the answer was lost, changes nothing.",
    tooth: writesAgain,
    check: async ({ store, open }) => {
      await declare(store);
      await store.consumers.resegment(ORDERS, 2);
      const away = await open({ retry: { attempts: 1 } }, (real) =>
        changeRecords(real, (records) => ({
          applyLayout: async (key, op) => {
            await records.applyLayout(key, op);
            throw unavailable();
          },
        })),
      );
      await refuses("UNAVAILABLE", away.consumers.finishResegment(ORDERS));
      const written = await store.consumers.get(ORDERS);
      assert.deepEqual([written?.generation, written?.segments.length], [2, 2]);
      assert.equal(await store.consumers.finishResegment(ORDERS), "none");
      assert.deepEqual(await store.consumers.get(ORDERS), written);
    },
  },
  {
    name: "which",
    promise: "Of a consumer with several segments, one is consumed that is named; without a name it is refused.",
    tooth: takesTheFirst,
    check: async ({ run, store }) => {
      await declare(store, ORDERS, { segments: 2 });
      const refused = await refuses("INVALID_ARGUMENT", run(projector(apply, { segments: 2 })));
      assert.equal(refused.details.argument, "segment");
      assert.equal((await run(projector(apply, { segments: 2 }), { segment: 1 })).kind, "caught-up");
      await refuses("INVALID_ARGUMENT", run(projector(apply, { segments: 2 }), { segment: 2 }));
    },
  },
  {
    name: "errors/own",
    promise: "A failure is recorded on the segment that it happened in, and cleared by the next success of that one.",
    tooth: blamesTheFirst,
    check: async ({ log, run, store }) => {
      await log.append(deposit(accountIn(0, 2)));
      await log.append(deposit(accountIn(1, 2)));
      const fails = projector(
        ({ aggregate }) => {
          if (aggregate.id === accountIn(1, 2)) throw new Error("poison");
        },
        { segments: 2, failure: { attempts: 1 } },
      );
      await run(fails, { segment: 0 });
      assert.equal((await run(fails, { segment: 1 })).kind, "stopped");
      const errors = async (): Promise<readonly boolean[]> =>
        (await store.consumers.get(ORDERS))?.segments.map(({ error }) => error !== undefined) ?? [];
      assert.deepEqual(await errors(), [false, true]);
      const observes = observer(failsInTheSecond, {
        name: "observer",
        segments: 2,
        failure: { attempts: 1, then: "stop" },
      });
      assert.equal((await run(observes, { segment: 1 })).kind, "stopped");
      const observed = await store.consumers.get("observer");
      assert.deepEqual(
        observed?.segments.map(({ error }) => error !== undefined),
        [false, true],
      );
      await run(projector(apply, { segments: 2 }), { segment: 1 });
      assert.deepEqual(await errors(), [false, false]);
    },
  },
  {
    name: "errors/none-there",
    promise: "An error of a segment that a consumer does not have, or not any more, is nobody's.",
    tooth: keepsErrorsOfAll,
    check: async ({ store }) => {
      await declare(store);
      await store.consumers.recordError(ORDERS, new Error("late"), { segment: 3 });
      const state = await store.consumers.get(ORDERS);
      assert.deepEqual(
        state?.segments.map(({ segment, error }) => [segment, error]),
        [[0, undefined]],
      );
    },
  },
  {
    name: "replay/own",
    promise: "What is asked for a dead letter is carried out by who holds the segment of its aggregate.",
    tooth: forgetsLayout,
    check: async ({ log, run, store }) => {
      for (const segment of [0, 1]) await log.append(deposit(accountIn(segment, 2), 2));
      let broken = true;
      const given = trail();
      const parks = projector(
        (event, context) => {
          if (broken && isAmount(event, 1)) throw new Error("broken");
          given.handle(event, context);
        },
        { segments: 2, failure: { attempts: 1, then: "park" } },
      );
      for (const segment of [0, 1]) await run(parks, { segment });
      assert.equal(await store.deadLetters.count(ORDERS), 4, "Each waits behind its predecessor only.");
      broken = false;
      await store.deadLetters.retry(ORDERS, "all");
      await run(parks, { segment: 1 });
      assert.deepEqual(given.byAccount(), { [accountIn(1, 2)]: [1, 2] });
      await run(parks, { segment: 0 });
      assert.deepEqual(given.byAccount(), { [accountIn(0, 2)]: [1, 2], [accountIn(1, 2)]: [1, 2] });
      assert.equal(await store.deadLetters.count(ORDERS), 0);
    },
  },
  {
    name: "live/by-position",
    promise: "Handlers are told for each event whether they are live; events of a batch are all live, or none is.",
    tooth: consumesWith("tells every handler that it is live", { live: true }),
    check: async ({ log, run }) => {
      const positions = await depositTo(log, ["a", "b", "a", "b"]);
      const live = (position: bigint): boolean => position > at(positions, 1);
      const [each, observed] = [trail(), trail()];
      await run(projector(each.handle), { live });
      await run(observer(observed.handle, { name: "observer", concurrency: 1 }), { live });
      for (const { steps } of [each, observed]) {
        assert.deepEqual(
          steps.map((step) => step.live),
          [false, false, true, true],
        );
      }
      const sizes: number[] = [];
      const batches = batchProjector((events: readonly Deposit[]) => void sizes.push(events.length));
      await run({ ...batches, key: { name: "batches", version: 1 } }, { live });
      assert.deepEqual(sizes, [2, 2]);
    },
  },
  {
    name: "run-in-zone",
    promise: "A consumer is run in a zone again and again, by pages that somebody else reads, and keeps the zone.",
    tooth: {
      lie: "leaves the zone that it was lent",
      runInZone: async (store, consumer, zone, options) => {
        const result = await runInZone(store, consumer, zone, options);
        await zone.leave();
        return result;
      },
    },
    check: async ({ log, store, open, runInZone: runHere }) => {
      const other = await open();
      await rounds(log, 1);
      await declare(store, ORDERS, { segments: 2, log });
      const given = trail();
      await using zone = await enter(store, ORDERS, { segment: 1, log });
      let read = 0;
      const options = {
        log,
        fetchSize: 2,
        read: async ({ after, scope }: { readonly after: typeof START; readonly scope: object }) => {
          read += 1;
          return log.readAll({ after, limit: 100, scope });
        },
      };
      const consumer = tracing(given, { segments: 2 });
      const first = await runHere(store, consumer, zone, options);
      assert.equal(await other.enterZone(ORDERS, { segment: 1, log }), undefined, "The zone is still held.");
      await rounds(log, 1, 2);
      const second = await runHere(store, consumer, zone, options);
      assert.deepEqual([first.kind, second.kind, second.position], ["caught-up", "caught-up", await log.head()]);
      assert.ok(read > 2, "Its pages were read.");
      assert.ok(
        Object.values(given.byAccount()).every((amounts) => amounts.join() === "1,2"),
        "Each event was handled once.",
      );
      const stranger = projector(apply, { name: "stranger" });
      await refuses("INVALID_ARGUMENT", runHere(store, stranger, zone, options));
    },
  },
  {
    name: "look",
    promise:
      "One look at several consumers tells of each whether, where and how it is to run, as anyone has last said.",
    tooth: looksOnceOnly,
    check: async ({ log, run, store, open }) => {
      const operator = await open();
      await log.append(deposit("a"));
      const parks = projector(
        () => {
          throw new Error("poison");
        },
        { failure: { attempts: 1, then: "park" } },
      );
      await run(parks);
      await declare(store, "saga", { kind: "saga", log });
      const look = async (): Promise<readonly (ConsumerSight | undefined)[]> =>
        store.consumers.look([parks, { key: { name: "saga", version: 1 }, saga: "process" }, "nobody"]);
      const before = await look();
      assert.deepEqual(
        before.map((of) => of && [of.name, of.enabled, of.active, of.requested.length, of.layout, of.dueInMs]),
        [[ORDERS, true, true, 0, undefined, undefined], ["saga", true, true, 0, undefined, undefined], undefined],
      );
      await operator.deadLetters.retry(ORDERS, "all");
      await operator.consumers.resegment(ORDERS, 4, { log });
      await operator.consumers.disable(ORDERS);
      const zone = await enter(operator, "saga", { log, owner: "somebody" });
      await zone.commit(async ({ records }) => {
        await records.sagas.insert("process", { id: "1", associations: {}, data: null });
        const deadline = { sagaId: "1", data: null };
        await records.deadlines.set("process", { ...deadline, name: "later", dueAt: new Date(Date.now() + 3_600_000) });
        await records.deadlines.set("process", { ...deadline, name: "past", dueAt: new Date(0) });
        return zone.position;
      });
      const [orders, saga, nobody] = await look();
      assert.deepEqual([orders?.enabled, orders?.requested.length, orders?.layout?.segments], [false, 1, 4]);
      assert.deepEqual([saga?.segments[0]?.owner, (saga?.dueInMs ?? 1) < 0, nobody], ["somebody", true, undefined]);
    },
  },
];

export const segmentLaws: readonly Law[] = [
  ...inAnyLog.flatMap((law) => [withOwnLog(law), withForeignLog(law)]),
  ...resegmentLaws.flatMap((law) =>
    ["resegment/split-and-merge", "resegment/not-before-drained", "resegment/held"].includes(law.name)
      ? [withOwnLog(law), withForeignLog(law)]
      : [withOwnLog(law)],
  ),
];

function failsInTheSecond(event: Deposit): void {
  if (event.aggregate.id === accountIn(1, 2)) throw new Error("poison");
}

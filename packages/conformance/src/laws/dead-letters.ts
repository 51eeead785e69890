import {
  type ConsumeResult,
  defineProjector,
  type Position,
  type Projector,
  START,
  type Store,
  TransientError,
} from "@tidemark/core";
import { enter, ORDERS } from "../consumers.ts";
import {
  beforePage,
  crashingHandler,
  crashingWithLetter,
  effects,
  type Handle,
  handlerFor,
  history,
  letters,
  mortal,
  nameOf,
  patient,
  REPLAY_STEPS,
} from "../dead-letters.ts";
import { account, deposits } from "../events.ts";
import { assert, collect, eventually, fulfils, gate, outcome } from "../expect.ts";
import { unavailable, unaware, vanishing } from "../faults.ts";
import { type Bench, type Law, override } from "../law.ts";
import { ignoresFlag, sharesEvents } from "../lies/consuming.ts";
import {
  carriesNothingOut,
  consumesOtherwise,
  countsTo,
  failsForGood,
  firstPageOnly,
  forgetsWhatFailsAgain,
  freesNothing,
  ignoresAggregate,
  ignoresMarks,
  keepsAttempts,
  keepsLettersOfDeleted,
  keepsMarks,
  letterPort,
  letterRecords,
  looksOnce,
  marksAll,
  missesLetters,
  newestFirst,
  overtakes,
  removesFirst,
  sharesLetters,
  tellsNoCause,
  writesAnew,
} from "../lies/dead-letters.ts";
import { commitsWhatFailed, letsEveryoneIn } from "../lies/zones.ts";
import { forWard, type Ward, type WardLaw } from "../ward.ts";

const replaying: readonly WardLaw[] = [
  {
    name: "replay/retry",
    promise: "A dead letter for which a retry is asked is handled by the next cycle, once, and is gone.",
    inAnyLog: true,
    tooth: carriesNothingOut,
    check: async (ward) => {
      const { store, run, broken } = ward;
      await parkAll(ward, "a1 b1", ["a1"]);
      broken.clear();
      assert.equal(await store.deadLetters.retry(ORDERS, "all"), 1);
      assert.equal(handledBy(await run()), 1, "It counts as handled.");
      await run();
      assert.deepEqual([await letters(store), await effects(store)], [[], { a: ["a1"], b: ["b1"] }]);
    },
  },
  {
    name: "replay/marked-only",
    promise: "Only the letters for which something was asked are touched.",
    tooth: marksAll,
    check: async (ward) => {
      const { store, run, broken } = ward;
      const at = await parkAll(ward, "a1 b1 c1", ["a1", "b1", "c1"]);
      broken.clear();
      await store.deadLetters.retry(ORDERS, at.get("b1") ?? START);
      await run();
      assert.deepEqual([await letters(store), await effects(store)], [["a1", "c1"], { b: ["b1"] }]);
    },
  },
  {
    name: "replay/oldest-first",
    promise: "Letters are retried in the order of their events, in whatever order the retries were asked for.",
    tooth: newestFirst,
    check: async <Tx>(ward: Ward<Tx>) => {
      const { store, run } = ward;
      const at = await parkAll(ward, "c1 a1 b1", ["a1", "b1", "c1"]);
      for (const name of ["b1", "c1", "a1"]) await store.deadLetters.retry(ORDERS, at.get(name) ?? START);
      const seen: string[] = [];
      await run({ handle: async (event) => seen.push(nameOf(event)) });
      assert.deepEqual(seen, ["c1", "a1", "b1"]);
    },
  },
  {
    name: "replay/sequence-follows",
    promise: "What waits behind a letter follows it in order, before anything new of its sequence, in the same cycle.",
    inAnyLog: true,
    tooth: freesNothing,
    check: async (ward) => {
      const { store, log, run, broken } = ward;
      const at = await parkAll(ward, "a1 a2 b1 a3", ["a1"]);
      broken.clear();
      await history(log, "a4 b2");
      await store.deadLetters.retry(ORDERS, at.get("a1") ?? START);
      await run();
      assert.deepEqual(await letters(store), []);
      assert.deepEqual(await effects(store), { a: ["a1", "a2", "a3", "a4"], b: ["b1", "b2"] });
    },
  },
  {
    name: "replay/blocked",
    promise: "A letter with an older one in its sequence waits for that one, and keeps its mark until then.",
    tooth: overtakes,
    check: async (ward) => {
      const { store, run, broken } = ward;
      const at = await parkAll(ward, "a1 a2 b1", ["a1", "b1"]);
      broken.clear();
      await store.deadLetters.retry(ORDERS, at.get("a2") ?? START);
      await run();
      assert.deepEqual(await letters(store), ["a1", "a2", "b1"], "It is not handled before the older one.");
      assert.deepEqual(await letters(store, { requested: true }), ["a2"], "It is still marked.");
      await store.deadLetters.retry(ORDERS, at.get("a1") ?? START);
      await run();
      assert.deepEqual([await letters(store), await effects(store)], [["b1"], { a: ["a1", "a2"] }]);
    },
  },
  {
    name: "replay/failure-reparks",
    promise: "A retry that fails leaves its letter, without the mark, and what waits behind it waiting.",
    inAnyLog: true,
    tooth: forgetsWhatFailsAgain,
    check: async (ward) => {
      const { store, run } = ward;
      const at = await parkAll(ward, "a1 a2 b1", ["a1"]);
      await store.deadLetters.retry(ORDERS, at.get("a1") ?? START);
      assert.equal((await run()).kind, "caught-up");
      assert.deepEqual(await letters(store), ["a1", "a2"]);
      assert.deepEqual(await letters(store, { requested: true }), [], "Another try has to be asked for.");
      assert.deepEqual(await effects(store), { b: ["b1"] });
    },
  },
  {
    name: "park/upsert",
    promise:
      "Parking an event again keeps one letter, with more attempts, the new cause and the time of the first failure.",
    tooth: writesAnew,
    check: async <Tx>(ward: Ward<Tx>) => {
      const { store, run } = ward;
      await parkAll(ward, "a1", ["a1"]);
      const [first] = await collect(store.deadLetters.list(ORDERS));
      assert.equal(first?.attempts, 2);
      await eventually("Time passes", () => Date.now() > (first?.lastAt.getTime() ?? 0) + 2);
      await store.deadLetters.retry(ORDERS, "all");
      const failing: Handle<Tx> = async () => {
        throw new TypeError("still broken");
      };
      await run({ handle: failing });
      const [again, ...others] = await collect(store.deadLetters.list(ORDERS));
      assert.deepEqual(others, [], "There is one letter.");
      assert.ok(again !== undefined && again.attempts > 2, `${again?.attempts} attempts are more than before.`);
      assert.equal(again.cause?.message, "still broken");
      assert.deepEqual([again.firstAt, again.request], [first.firstAt, undefined]);
      assert.ok(again.lastAt >= first.lastAt, "The last failure is not before the first.");
      assert.deepEqual(again.event, first.event);
    },
  },
  {
    name: "park/attempts",
    promise: "Every failed retry raises the attempts of its letter.",
    tooth: keepsAttempts,
    check: async (ward) => {
      const { store, run } = ward;
      await parkAll(ward, "a1", ["a1"]);
      const counts: number[] = [];
      for (let retry = 0; retry < 3; retry++) {
        const [letter] = await collect(store.deadLetters.list(ORDERS));
        counts.push(letter?.attempts ?? 0);
        await store.deadLetters.retry(ORDERS, "all");
        await run();
      }
      assert.ok(
        counts.every((count, index) => index === 0 || count > (counts[index - 1] ?? count)),
        counts.join(", "),
      );
    },
  },
  {
    name: "replay/append-refused",
    promise: "A retry fails when what its handler appends is refused, and nothing else fails with it.",
    kinds: ["projector", "batch", "saga"],
    tooth: commitsWhatFailed,
    check: async <Tx>(ward: Ward<Tx>) => {
      const { store, log, run, broken } = ward;
      await parkAll(ward, "a1 b1", ["a1"]);
      broken.clear();
      await history(log, "c1");
      await store.deadLetters.retry(ORDERS, "all");
      const handle = handlerFor<Tx>(store);
      const reacting: Handle<Tx> = async (event, context) => {
        await handle(event, context);
        if (nameOf(event) !== "a1" || !("append" in context)) return;
        context.append({
          aggregate: account("reactions"),
          expected: "exists",
          events: [{ type: "reacted", data: null }],
        });
      };
      const { kind } = await run({ handle: reacting });
      assert.equal(kind, "caught-up");
      assert.deepEqual([await letters(store), await effects(store)], [["a1"], { b: ["b1"], c: ["c1"] }]);
    },
  },
  {
    name: "replay/appends",
    promise: "What a handler appends in a retry is committed with it.",
    kinds: ["projector", "batch", "saga"],
    tooth: letterPort("says that letters are gone before they are handled", () => ({ get: async () => undefined })),
    check: async <Tx>(ward: Ward<Tx>) => {
      const { store, run } = ward;
      await parkAll(ward, "a1", ["a1"]);
      await store.deadLetters.retry(ORDERS, "all");
      const reacting: Handle<Tx> = async (_event, context) => {
        if (!("append" in context)) return;
        context.append({
          aggregate: account("reactions"),
          expected: "none",
          events: [{ type: "reacted", data: null }],
        });
      };
      await run({ handle: reacting });
      assert.equal((await collect(store.readAggregate(account("reactions")))).length, 1);
      assert.deepEqual(await letters(store), []);
    },
  },
  {
    name: "replay/checkpoint-stays",
    promise: "Carrying out what was asked for letters does not move the checkpoint.",
    tooth: carriesNothingOut,
    check: async (ward) => {
      const { store, log, run, broken } = ward;
      await parkAll(ward, "a1 b1 a2", ["a1"]);
      broken.clear();
      const before = await store.consumers.checkpoint(ORDERS);
      await history(log, "b2");
      await store.deadLetters.retry(ORDERS, "all");
      const result = await run({ deadLettersOnly: true });
      assert.deepEqual(await letters(store), []);
      assert.equal(await store.consumers.checkpoint(ORDERS), before);
      assert.deepEqual(result, { kind: "caught-up", handled: 2, position: before });
    },
  },
  {
    name: "replay/while-running",
    promise: "What is asked for a letter while its consumer runs is carried out in that very cycle.",
    inAnyLog: true,
    tooth: looksOnce,
    check: async (ward) => {
      const { store, log, run, broken, open } = ward;
      await parkAll(ward, "a1 a2", ["a1"]);
      await history(log, "b1 b2 b3");
      const operator = await open();
      const source = beforePage(log, 2, () => {
        broken.clear();
        return operator.deadLetters.retry(ORDERS, "all");
      });
      await run({ fetchSize: 1, log: source });
      assert.deepEqual(await letters(store), []);
      assert.deepEqual(await effects(store), { a: ["a1", "a2"], b: ["b1", "b2", "b3"] });
    },
  },
  {
    name: "replay/by-the-caller",
    promise: "Where nobody runs, the caller carries out what was asked, enters the zone for it, and reads nothing new.",
    inAnyLog: true,
    tooth: consumesOtherwise("goes on with the log when only letters are wanted", () => ({ deadLettersOnly: false })),
    check: async (ward) => {
      const { store, log, run, broken } = ward;
      await parkAll(ward, "a1 a2", ["a1"]);
      broken.clear();
      await history(log, "b1 a3");
      await store.deadLetters.retry(ORDERS, "all");
      assert.equal((await run({ deadLettersOnly: true })).kind, "caught-up");
      assert.deepEqual([await letters(store), await effects(store)], [[], { a: ["a1", "a2"] }]);
      await run();
      assert.deepEqual(await effects(store), { a: ["a1", "a2", "a3"], b: ["b1"] });
    },
  },
  {
    name: "replay/busy",
    promise: "While somebody else holds the zone a caller touches no letter, and is told so.",
    tooth: letsEveryoneIn,
    check: async (ward) => {
      const { store, log, run, broken, open } = ward;
      await parkAll(ward, "a1", ["a1"]);
      broken.clear();
      await store.deadLetters.retry(ORDERS, "all");
      const zone = await enter(store, ORDERS, { log });
      assert.deepEqual(await run({ store: await open(), deadLettersOnly: true }), { kind: "busy" });
      assert.deepEqual([await letters(store), await effects(store)], [["a1"], {}]);
      await zone.leave();
      await run({ deadLettersOnly: true });
      assert.deepEqual([await letters(store), await effects(store)], [[], { a: ["a1"] }]);
    },
  },
  {
    name: "replay/limit",
    promise: "Retried events count towards what a cycle may handle; what is left stays marked.",
    tooth: consumesOtherwise("handles everything there is", () => ({ maxEvents: undefined })),
    check: async (ward) => {
      const { store, log, run, broken } = ward;
      await parkAll(ward, "a1 b1 c1", ["a1", "b1", "c1"]);
      broken.clear();
      await history(log, "d1");
      await store.deadLetters.retry(ORDERS, "all");
      const result = await fulfils(run({ maxEvents: 2 }), "A limit within the letters is a limit");
      assert.deepEqual([result.kind, handledBy(result)], ["limit", 2]);
      assert.deepEqual(await letters(store, { requested: true }), ["c1"]);
      await run();
      assert.deepEqual(await effects(store), { a: ["a1"], b: ["b1"], c: ["c1"], d: ["d1"] });
    },
  },
  {
    name: "replay/disabled",
    promise: "A disabled consumer leaves its letters alone, and keeps what was asked until it is enabled again.",
    tooth: ignoresFlag,
    check: async (ward) => {
      const { store, run, broken } = ward;
      await parkAll(ward, "a1 a2", ["a1"]);
      broken.clear();
      await store.deadLetters.retry(ORDERS, "all");
      await store.consumers.disable(ORDERS);
      assert.equal((await run()).kind, "disabled");
      assert.deepEqual([await letters(store, { requested: true }), await effects(store)], [["a1", "a2"], {}]);
      await store.consumers.enable(ORDERS);
      await run();
      assert.deepEqual([await letters(store), await effects(store)], [[], { a: ["a1", "a2"] }]);
    },
  },
  {
    name: "replay/disabled-on-the-way",
    promise: "A consumer that is disabled while it retries a letter finishes that one, and loses none of the others.",
    tooth: ignoresFlag,
    check: async <Tx>(ward: Ward<Tx>) => {
      const { store, run } = ward;
      await parkAll(ward, "a1 b1", ["a1", "b1"]);
      await store.deadLetters.retry(ORDERS, "all");
      const [handling, disabled] = [gate(), gate()];
      const handle = handlerFor<Tx>(store);
      const held: Handle<Tx> = async (event, context) => {
        handling.open();
        await disabled.passed;
        await handle(event, context);
      };
      const cycle = run({ handle: held });
      await Promise.race([handling.passed, cycle]);
      // Where the transaction keeps other writes out, the record follows after it; the process knows at once.
      const disabling = store.consumers.disable(ORDERS);
      disabled.open();
      await disabling;
      assert.equal((await cycle).kind, "disabled");
      assert.deepEqual([await letters(store, { requested: true }), await effects(store)], [["b1"], { a: ["a1"] }]);
    },
  },
  {
    name: "replay/transient",
    promise: "A transient failure of a retry is waited out: it costs no attempt, no mark and no effect.",
    tooth: failsForGood,
    check: async <Tx>(ward: Ward<Tx>) => {
      const { store, run } = ward;
      await parkAll(ward, "a1", ["a1"]);
      await store.deadLetters.retry(ORDERS, "all");
      const handle = handlerFor<Tx>(store);
      let failures = 0;
      const shaky: Handle<Tx> = async (event, context) => {
        failures += 1;
        if (failures < 4) throw new TransientError("not yet");
        await handle(event, context);
      };
      assert.equal((await run({ handle: shaky })).kind, "caught-up");
      assert.deepEqual([await letters(store), await effects(store)], [[], { a: ["a1"] }]);
    },
  },
  {
    name: "replay/as-it-was",
    promise: "Every retry gets the event as it was recorded, whatever earlier tries have done to theirs.",
    inAnyLog: true,
    tooth: sharesEvents,
    check: async <Tx>({ store, log, run }: Ward<Tx>) => {
      await history(log, "a1");
      const [recorded] = structuredClone((await log.readAll()).events);
      const seen: unknown[] = [];
      const careless: Handle<Tx> = async (event) => {
        seen.push(structuredClone(event));
        Reflect.set(event.data, "amount", 99);
        throw new Error("poison");
      };
      for (let cycle = 0; cycle < 3; cycle++) {
        await run({ handle: careless });
        await store.deadLetters.retry(ORDERS, "all");
      }
      assert.ok(seen.length >= 4, "It is tried twice, and with each retry.");
      for (const event of seen) assert.deepEqual(event, recorded);
    },
  },
  {
    name: "replay/many",
    promise: "However many letters are marked, all are carried out, in order.",
    kinds: ["projector", "observer"],
    tooth: looksOnce,
    check: async <Tx>({ store, log, run, broken }: Ward<Tx>) => {
      // More than a page of them, and not many more: each costs an observer two commits.
      const many = 110;
      await log.append({ aggregate: account("a"), events: deposits(many) });
      broken.add("a1");
      await run();
      assert.equal(await store.deadLetters.count(ORDERS), many);
      assert.equal(await store.deadLetters.retry(ORDERS, "all"), many);
      const seen: number[] = [];
      await run({ handle: async (event) => seen.push(event.data.amount), deadLettersOnly: true });
      assert.deepEqual(
        seen,
        Array.from({ length: many }, (_, index) => index + 1),
      );
      assert.equal(await store.deadLetters.count(ORDERS), 0);
    },
  },
  {
    name: "replay/remove",
    promise: "A letter that is given up is never handled, and what waits behind it goes on.",
    inAnyLog: true,
    tooth: freesNothing,
    check: async (ward) => {
      const { store, run } = ward;
      const at = await parkAll(ward, "a1 a2 a3", ["a1"]);
      assert.equal(await store.deadLetters.remove(ORDERS, at.get("a1") ?? START), 1);
      assert.deepEqual(
        await letters(store),
        ["a1", "a2", "a3"],
        "It is only asked for until the holder carries it out.",
      );
      await run();
      assert.deepEqual([await letters(store), await effects(store)], [[], { a: ["a2", "a3"] }]);
    },
  },
  {
    name: "replay/remove-waiting",
    promise: "A waiting letter that is given up is not handled when its turn comes.",
    tooth: letterRecords("retries what should be given up", (records) => ({
      request: (consumer, position, request, op) =>
        records.request(consumer, position, request === "remove" ? "retry" : request, op),
    })),
    check: async (ward) => {
      const { store, run, broken } = ward;
      const at = await parkAll(ward, "a1 a2 a3", ["a1"]);
      broken.clear();
      await store.deadLetters.remove(ORDERS, at.get("a2") ?? START);
      await store.deadLetters.retry(ORDERS, at.get("a1") ?? START);
      await run();
      assert.deepEqual([await letters(store), await effects(store)], [[], { a: ["a1", "a3"] }]);
    },
  },
  {
    name: "replay/zone-lost",
    promise: "A holder that is taken over while it retries a letter commits nothing, and its heir does it instead.",
    kinds: ["projector", "batch", "saga"],
    tooth: commitsWhatFailed,
    check: async <Tx>(ward: Ward<Tx>) => {
      const { store, log, run, broken, open } = ward;
      await parkAll(ward, "a1", ["a1"]);
      broken.clear();
      await store.deadLetters.retry(ORDERS, "all");
      const stale = await open({}, unaware);
      // It is taken over between its first look and its transaction.
      const late = beforeList(stale, async () => {
        const heir = await eventually("The zone can be taken over", () => store.enterZone(ORDERS, { log }));
        await heir.leave();
      });
      assert.equal((await run({ store: late, leaseMs: 1, handle: handlerFor<Tx>(stale) })).kind, "zone-lost");
      assert.deepEqual([await letters(store, { requested: true }), await effects(store)], [["a1"], {}]);
      await run();
      assert.deepEqual([await letters(store), await effects(store)], [[], { a: ["a1"] }]);
    },
  },
  {
    name: "replay/crash-loses-nothing/vanished",
    promise:
      "Wherever a consumer vanishes while it retries a letter, the event is handled in the end, and exactly once in a transaction.",
    inAnyLog: true,
    tooth: removesFirst,
    check: async <Tx>(ward: Ward<Tx>) => {
      const { store, log, run, broken, open } = ward;
      await history(log, "a1 b1 a2");
      for (const step of REPLAY_STEPS) {
        broken.add("a1");
        await run({ name: step });
        broken.clear();
        await store.deadLetters.retry(step, "all");
        const vanish = new AbortController();
        const crash = (): void => {
          if (vanish.signal.aborted) return;
          vanish.abort();
          throw unavailable();
        };
        const victim = await open({}, (real) =>
          mortal(crashingWithLetter(vanishing(real), step, crash), vanish.signal),
        );
        const handle = crashingHandler<Tx>(handlerFor(victim, broken, step), step, crash);
        await outcome(run({ name: step, handle, store: victim, leaseMs: 1, signal: vanish.signal }));
        assert.ok(vanish.signal.aborted, `It vanished ${step}.`);
        await assertAllHandled(ward, step);
      }
    },
  },
  {
    name: "replay/crash-loses-nothing/killed",
    promise:
      "Wherever a process is killed while it retries a letter, the event is handled in the end, and exactly once in a transaction.",
    when: { shared: true },
    kinds: ["projector", "observer", "saga"],
    tooth: removesFirst,
    check: async (ward) => {
      const { store, log, run, broken, spawn, kind } = ward;
      await history(log, "a1 b1 a2");
      for (const step of REPLAY_STEPS) {
        broken.add("a1");
        await run({ name: step });
        broken.clear();
        await store.deadLetters.retry(step, "all");
        const child = await spawn("dead-letters/die-replaying", { kind, step, broken: [] });
        assert.equal(await child.gone(), "SIGKILL", `The process was killed ${step}.`);
        await assertAllHandled(ward, step);
      }
    },
  },
  {
    name: "replay/crash-loses-nothing/failing",
    promise:
      "Wherever a process is killed while it parks a letter again, the letter is still there, and so is what waits behind it.",
    when: { shared: true },
    kinds: ["projector", "observer", "saga"],
    tooth: forgetsWhatFailsAgain,
    check: async (ward) => {
      const { store, log, run, broken, spawn, kind } = ward;
      await history(log, "a1 b1 a2");
      broken.add("a1");
      for (const step of ["after-park", "after-fence", "after-commit"]) {
        await run({ name: step });
        await store.deadLetters.retry(step, "all");
        const child = await spawn("dead-letters/die-replaying", { kind, step, broken: ["a1"] });
        assert.equal(await child.gone(), "SIGKILL", `The process was killed ${step}.`);
        await eventually("Its zone can be entered", async () => (await run({ name: step })).kind !== "busy");
        assert.deepEqual(await letters(store, {}, step), ["a1", "a2"], `Killed ${step}.`);
      }
    },
  },
];

const operating: readonly WardLaw[] = [
  {
    name: "list/letter",
    promise: "A letter tells the event as it was recorded, why and when it was parked, and how often it was tried.",
    inAnyLog: true,
    tooth: tellsNoCause,
    check: async (ward) => {
      const { store, log } = ward;
      await parkAll(ward, "a1 a2", ["a1"]);
      const recorded = (await log.readAll({ scope: { eventTypes: ["deposited"] } })).events;
      const [failed, waits] = await collect(store.deadLetters.list(ORDERS));
      assert.deepEqual([failed?.event, waits?.event], recorded);
      const cause = failed?.cause;
      assert.deepEqual([cause?.name, cause?.message, failed?.attempts], ["RangeError", "a1 is broken", 2]);
      assert.match(cause?.stack ?? "", /RangeError: a1 is broken\n.*at /);
      assert.deepEqual([waits?.cause, waits?.attempts], [undefined, 0], "One that only waits was never tried.");
      for (const letter of [failed, waits]) {
        assert.ok(letter !== undefined && letter.firstAt <= letter.lastAt);
        assert.ok(letter.firstAt >= letter.event.recordedAt, "It was parked after it was recorded.");
        assert.equal(letter.request, undefined);
      }
    },
  },
  {
    name: "cause/anything",
    promise: "Whatever a handler throws, its letter says what it was.",
    tooth: tellsNoCause,
    check: async <Tx>({ store, log, run }: Ward<Tx>) => {
      await history(log, "a1 b1 c1");
      const thrown = new Map<string, unknown>([
        ["a1", "a text"],
        ["b1", undefined],
        ["c1", new Error("\0 \ud800 '\"\\")],
      ]);
      const throwing: Handle<Tx> = (event) => Promise.reject(thrown.get(nameOf(event)));
      await run({ handle: throwing });
      const causes = await collect(store.deadLetters.list(ORDERS));
      const told = causes.map(({ cause }) => [cause?.name, cause?.message]);
      assert.deepEqual(told, [
        ["Thrown", "a text"],
        ["Thrown", "undefined"],
        ["Error", "\0 \ud800 '\"\\"],
      ]);
    },
  },
];

const listing: readonly Law[] = [
  {
    id: "dead-letters/list/paged",
    promise: "All letters are listed, each once, in the order of their events, however many they are.",
    tooth: firstPageOnly,
    check: async ({ store, consume }) => {
      await store.append({ aggregate: account("a"), events: deposits(230) });
      await consume(store, patient("projector", handlerFor(store, new Set(["a1"]))));
      const listed = await letters(store);
      assert.deepEqual(
        listed,
        Array.from({ length: 230 }, (_, index) => `a${index + 1}`),
      );
    },
  },
  {
    id: "dead-letters/list/filter-requested",
    promise:
      "Only the letters for which something was asked are listed where only they are wanted, and say what it is.",
    tooth: ignoresMarks,
    check: async (bench) => {
      const at = await threeLetters(bench);
      const { deadLetters } = bench.store;
      await deadLetters.retry(ORDERS, at.get("c1") ?? START);
      await deadLetters.remove(ORDERS, at.get("a1") ?? START);
      const marked = await collect(deadLetters.list(ORDERS, { requested: true }));
      assert.deepEqual(
        marked.map(({ event, request }) => [event.aggregate.id, request]),
        [
          ["a", "remove"],
          ["c", "retry"],
        ],
      );
    },
  },
  {
    id: "dead-letters/list/filter-aggregate",
    promise: "The letters of one aggregate are listed where only they are wanted, whatever else has its id.",
    tooth: ignoresAggregate,
    check: async ({ store, consume }) => {
      const event = { type: "deposited", data: { amount: 1 } };
      const aggregates = [
        account("a"),
        account("b"),
        { type: "saving", id: "a" },
        { context: "test", ...account("a") },
      ];
      for (const aggregate of aggregates) await store.append({ aggregate, events: [event, event] });
      await consume(store, poisoned());
      const listed = await collect(store.deadLetters.list(ORDERS, { aggregate: account("a") }));
      assert.deepEqual(
        listed.map(({ event }) => [event.aggregate, event.version]),
        [1, 2].map((version) => [{ context: "default", ...account("a") }, version]),
      );
      assert.deepEqual(await collect(store.deadLetters.list(ORDERS, { aggregate: account("a"), requested: true })), []);
    },
  },
  {
    id: "dead-letters/count",
    promise: "Letters are counted, and a consumer that has none, or that nobody knows, has 0.",
    tooth: countsTo(2),
    check: async (bench) => {
      await threeLetters(bench);
      assert.equal(await bench.store.deadLetters.count(ORDERS), 3);
      assert.equal(await bench.store.deadLetters.count("nobody"), 0);
      assert.deepEqual(await letters(bench.store, {}, "nobody"), []);
    },
  },
  {
    id: "dead-letters/mark/all",
    promise: "What is asked for all letters is asked for each, and the number of them comes back.",
    tooth: letterRecords("marks the oldest letter when all are meant", (records) => ({
      request: async (consumer, position, request, op) => {
        const [oldest] = await records.list(
          consumer,
          { after: START, limit: 1, requested: false, sequence: undefined },
          op,
        );
        return records.request(consumer, position ?? oldest?.position, request, op);
      },
    })),
    check: async (bench) => {
      await threeLetters(bench);
      const { store } = bench;
      for (const ask of ["retry", "remove", "cancel"] as const) {
        assert.equal(await store.deadLetters[ask](ORDERS, "all"), 3);
        const requests = (await collect(store.deadLetters.list(ORDERS))).map(({ request }) => request);
        const request = ask === "cancel" ? undefined : ask;
        assert.deepEqual(requests, [request, request, request]);
      }
    },
  },
  {
    id: "dead-letters/mark/replaced",
    promise: "What is asked last for a letter is what is carried out.",
    tooth: letterRecords("does what was asked first", (records) => ({
      request: async (consumer, position, request, op) => {
        const query = { after: START, limit: 100, requested: true, sequence: undefined };
        const marked = await records.list(consumer, query, op);
        return marked.some((letter) => letter.position === position)
          ? 1
          : records.request(consumer, position, request, op);
      },
    })),
    check: async (bench) => {
      const at = await threeLetters(bench);
      const { store, consume } = bench;
      const { deadLetters } = store;
      await deadLetters.retry(ORDERS, at.get("a1") ?? START);
      await deadLetters.remove(ORDERS, at.get("a1") ?? START);
      await deadLetters.remove(ORDERS, at.get("b1") ?? START);
      await deadLetters.retry(ORDERS, at.get("b1") ?? START);
      await consume(store, patient("projector", handlerFor(store)));
      assert.deepEqual([await letters(store), await effects(store)], [["c1"], { b: ["b1"] }]);
    },
  },
  {
    id: "dead-letters/mark/missing-is-no-op",
    promise: "Asking something for a letter that is not there does nothing, says 0, and is no error.",
    tooth: missesLetters,
    check: async (bench) => {
      const at = await threeLetters(bench);
      const { store } = bench;
      const before = await collect(store.deadLetters.list(ORDERS));
      const elsewhere = await history(store, "z1");
      for (const ask of ["retry", "remove", "cancel"] as const) {
        const asked = [
          store.deadLetters[ask](ORDERS, elsewhere.get("z1") ?? START),
          store.deadLetters[ask]("nobody", at.get("a1") ?? START),
          store.deadLetters[ask]("nobody", "all"),
        ];
        assert.deepEqual(await fulfils(Promise.all(asked), `To ${ask} what is not there is allowed`), [0, 0, 0]);
      }
      assert.deepEqual(await collect(store.deadLetters.list(ORDERS)), before);
      assert.equal(
        await store.consumers.get("nobody"),
        undefined,
        "Nothing is stored of a consumer that nobody knows.",
      );
    },
  },
  {
    id: "dead-letters/cancel",
    promise: "What was asked and not yet carried out can be taken back.",
    tooth: keepsMarks,
    check: async (bench) => {
      const at = await threeLetters(bench);
      const { store, consume } = bench;
      await store.deadLetters.retry(ORDERS, "all");
      assert.equal(await store.deadLetters.cancel(ORDERS, at.get("b1") ?? START), 1);
      assert.deepEqual(await letters(store, { requested: true }), ["a1", "c1"]);
      await consume(store, patient("projector", handlerFor(store)));
      assert.deepEqual(await letters(store), ["b1"]);
    },
  },
  {
    id: "dead-letters/remove/idempotent",
    promise: "Giving a letter up twice, or once more when it is gone, is the same as giving it up once.",
    tooth: missesLetters,
    check: async (bench) => {
      const at = await threeLetters(bench);
      const { store, consume } = bench;
      const position = at.get("b1") ?? START;
      for (let time = 0; time < 2; time++) assert.equal(await store.deadLetters.remove(ORDERS, position), 1);
      await consume(store, patient("projector", handlerFor(store)));
      assert.equal(await fulfils(store.deadLetters.remove(ORDERS, position), "What is gone can be given up"), 0);
      await consume(store, patient("projector", handlerFor(store)));
      assert.deepEqual([await letters(store), await effects(store)], [["a1", "c1"], {}]);
    },
  },
  {
    id: "dead-letters/per-consumer",
    promise: "Each consumer, and each version of it, has letters of its own.",
    tooth: sharesLetters,
    check: async ({ store, consume }) => {
      await history(store, "a1");
      for (const version of [1, 2]) await consume(store, { ...poisoned(), key: { name: ORDERS, version } });
      await consume(store, { ...poisoned(), key: { name: `${ORDERS} `, version: 1 } });
      await store.deadLetters.remove({ name: ORDERS, version: 2 }, "all");
      await consume(store, { ...poisoned(), key: { name: ORDERS, version: 2 } });
      const counts = [ORDERS, { name: ORDERS, version: 2 }, `${ORDERS} `].map((name) => store.deadLetters.count(name));
      assert.deepEqual(await Promise.all(counts), [1, 0, 1]);
    },
  },
  {
    id: "dead-letters/deleted",
    promise: "Deleting a consumer forgets its letters: declared anew, it has none and nothing waits.",
    tooth: keepsLettersOfDeleted,
    check: async (bench) => {
      await threeLetters(bench);
      const { store, consume } = bench;
      await store.consumers.delete(ORDERS);
      assert.equal(await store.deadLetters.count(ORDERS), 0);
      await consume(store, patient("projector", handlerFor(store)));
      assert.deepEqual(await effects(store), { a: ["a1"], b: ["b1"], c: ["c1"] });
    },
  },
  {
    id: "dead-letters/reset",
    promise: "After a reset an event that is still parked is not handled beside its letter.",
    tooth: letterPort("forgets its letters once it was reset", () => ({ any: async () => false })),
    check: async (bench) => {
      await threeLetters(bench);
      const { store, consume } = bench;
      await store.consumers.reset(ORDERS, "beginning");
      await consume(store, patient("projector", handlerFor(store)));
      assert.deepEqual([await letters(store), await effects(store)], [["a1", "b1", "c1"], {}]);
      await store.deadLetters.retry(ORDERS, "all");
      await consume(store, patient("projector", handlerFor(store)));
      assert.deepEqual([await letters(store), await effects(store)], [[], { a: ["a1"], b: ["b1"], c: ["c1"] }]);
    },
  },
  {
    id: "dead-letters/reopen",
    promise: "Letters and what was asked for them are there after the store was opened again.",
    when: { durable: true },
    tooth: letterRecords("lists no letters that it has not seen parked", () => ({ list: async () => [] })),
    check: async ({ open, consume }) => {
      const first = await open();
      await history(first, "a1");
      await consume(first, poisoned());
      await first.deadLetters.retry(ORDERS, "all");
      await first.close();
      assert.deepEqual(await letters(await open(), { requested: true }), ["a1"]);
    },
  },
];

/** Dead letters once they are there: what is asked for them and carried out, and how they are shown. */
export const deadLetterLaws: readonly Law[] = [...forWard("dead-letters", [...replaying, ...operating]), ...listing];

/** Runs the consumer once over new events of which some are broken. Returns their positions by name. */
async function parkAll<Tx>(
  { log, run, broken }: Ward<Tx>,
  names: string,
  without: readonly string[],
): Promise<ReadonlyMap<string, Position>> {
  const positions = await history(log, names);
  for (const name of without) broken.add(name);
  await run();
  return positions;
}

/** Letters of three aggregates: a1, b1, c1. Returns their positions by name. */
async function threeLetters<Tx>({ store, consume }: Bench<Tx>): Promise<ReadonlyMap<string, Position>> {
  const positions = await history(store, "a1 b1 c1");
  await consume(store, patient("projector", handlerFor(store, new Set(["a1", "b1", "c1"]))));
  return positions;
}

/** A projector that can handle nothing. */
function poisoned<Tx>(): Projector<Tx> {
  return defineProjector<Tx>({
    name: ORDERS,
    failure: { attempts: 1 },
    handle: () => {
      throw new Error("poison");
    },
  });
}

/** A store whose consumer is interrupted once it has found what was asked. */
function beforeList<Tx>(store: Store<Tx>, interrupt: () => Promise<unknown>): Store<Tx> {
  let interrupted = false;
  return override(store, (real) => ({
    deadLetters: override(real.deadLetters, (deadLetters) => ({
      list: async function* list(consumer, filter) {
        for await (const letter of deadLetters.list(consumer, filter)) {
          if (!interrupted) await interrupt();
          interrupted = true;
          yield letter;
        }
      },
    })),
  }));
}

/** Who was cut off while it retried the letters of a1 and a2 has an heir that comes to the end. */
async function assertAllHandled<Tx>({ store, run, kind }: Ward<Tx>, name: string): Promise<void> {
  await eventually("Its zone can be entered", async () => (await run({ name })).kind !== "busy");
  assert.deepEqual(await letters(store, {}, name), [], `Cut off ${name}: what was asked is carried out.`);
  const { a = [], b } = await effects(store, name);
  // At least once is all that is promised of an observer.
  assert.deepEqual(kind === "observer" ? [...new Set(a)] : a, ["a1", "a2"], `Cut off ${name}: in order and complete.`);
  assert.deepEqual(b, ["b1"], `Cut off ${name}: others are not touched.`);
}

function handledBy(result: ConsumeResult): number {
  return result.kind === "busy" ? 0 : result.handled;
}

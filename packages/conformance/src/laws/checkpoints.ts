import {
  type ConsumerState,
  type FencedTransaction,
  type Position,
  START,
  type Store,
  toPosition,
} from "@tidemark/core";
import { declare, enter, inherit, ORDERS, threeSteps } from "../consumers.ts";
import { account, deposit } from "../events.ts";
import { assert, collect, eventually, fulfils, outcome, refuses } from "../expect.ts";
import { changeRecords, CRASH_STEPS, type CrashStep, crashingAt, unavailable, vanishing } from "../faults.ts";
import { type Bench, type Law, override } from "../law.ts";
import {
  checkpointsAfterwards,
  commitsWhatFailed,
  confuses,
  handsOut,
  ignoresPosition,
  operates,
  showsRows,
  showsSegments,
  unless,
} from "../lies/zones.ts";

export const checkpointLaws: readonly Law[] = [
  {
    id: "checkpoints/none/unknown",
    promise: "A consumer that nobody knows has no checkpoint, no state, and is not listed.",
    tooth: {
      lie: "makes up a row for a consumer that nobody knows",
      adapter: (real) =>
        changeRecords(real, (records) => ({
          get: async (key, op) => (await records.get(key, op)) ?? { ...UNKNOWN, key },
        })),
    },
    check: async ({ store }) => {
      assert.equal(await store.consumers.checkpoint(ORDERS), undefined);
      assert.equal(await store.consumers.get(ORDERS), undefined);
      assert.deepEqual(await collect(store.consumers.list()), []);
    },
  },
  {
    id: "checkpoints/none/never-committed",
    promise: "A consumer that was disabled, that failed or that was declared has no checkpoint until it commits one.",
    tooth: showsSegments("takes a row for a checkpoint", (segment) => ({
      ...segment,
      position: segment.position ?? START,
      committedAt: segment.committedAt ?? 0,
    })),
    check: async ({ store }) => {
      await store.consumers.disable("disabled");
      await store.consumers.recordError("failed", new Error("no luck"));
      await declare(store, "declared");
      for (const name of ["disabled", "failed", "declared"]) {
        assert.equal(await store.consumers.checkpoint(name), undefined, `${name} has committed nothing.`);
      }
    },
  },
  {
    id: "checkpoints/none/start-rule",
    promise: "A consumer that was disabled or failed before it is declared begins where its start rule says.",
    tooth: {
      lie: "begins at the beginning of the log when there is a row already",
      adapter: (real) =>
        changeRecords(real, (records) => ({
          declare: async (declaration, op) => {
            const known = await records.get(declaration.key, op);
            return records.declare(known === undefined ? declaration : { ...declaration, position: START }, op);
          },
        })),
    },
    check: async ({ store }) => {
      const [, , head] = await threeSteps(store);
      await store.consumers.disable("disabled");
      await store.consumers.recordError("failed", new Error("no luck"));
      for (const name of ["disabled", "failed"]) {
        await declare(store, name, { start: "head" });
        assert.equal((await enter(store, name)).position, head, `${name} begins at the head.`);
      }
    },
  },
  {
    id: "checkpoints/declare/again",
    promise: "Declaring a consumer again returns what is stored, whatever start it names.",
    tooth: {
      lie: "moves a consumer to the start that it is declared with",
      store: (real) =>
        override(real, () => ({
          consumers: override(real.consumers, (consumers) => ({
            declare: async (consumer, options) => {
              await consumers.declare(consumer, options);
              await consumers.reset(consumer, options.start ?? "beginning");
              return consumers.declare(consumer, options);
            },
          })),
        })),
    },
    check: async ({ store }) => {
      const [first] = await threeSteps(store);
      await declare(store, ORDERS, { start: { position: first } });
      const again = await store.consumers.declare(ORDERS, { kind: "projector", start: "head" });
      assert.equal(again.segments[0]?.position, first, "It stays where it was declared.");
      assert.equal(again.start, `position ${first}`, "Its rule is the first one.");
    },
  },
  {
    id: "checkpoints/declare/mismatch",
    promise: "Declaring a consumer as another kind, or in another number of segments, is refused.",
    tooth: operates("takes any declaration for the stored one", (real) => ({
      declare: (consumer, options) =>
        unless("CONSUMER_MISMATCH", real.declare(consumer, options), async () => {
          const stored = await real.get(consumer);
          return real.declare(consumer, {
            ...options,
            kind: stored?.kind ?? "projector",
            segments: stored?.segments.length,
          });
        }),
    })),
    check: async ({ store }) => {
      await declare(store, ORDERS, { segments: 2 });
      await refuses("CONSUMER_MISMATCH", store.consumers.declare(ORDERS, { kind: "saga", segments: 2 }));
      await refuses("CONSUMER_MISMATCH", store.consumers.declare(ORDERS, { kind: "projector", segments: 4 }));
    },
  },
  {
    id: "checkpoints/start/position",
    promise: "A consumer starts after a given position of its log; a position that the log has not reached is refused.",
    tooth: operates("starts wherever it likes", (real) => ({
      declare: (consumer, options) =>
        unless("INVALID_ARGUMENT", real.declare(consumer, options), () =>
          real.declare(consumer, { ...options, start: "head" }),
        ),
    })),
    check: async ({ store }) => {
      const [first, , head] = await threeSteps(store);
      await declare(store, "after first", { start: { position: first } });
      assert.equal((await enter(store, "after first")).position, first);
      const ahead = store.consumers.declare(ORDERS, { kind: "projector", start: { position: beyond(head) } });
      await refuses("INVALID_ARGUMENT", ahead);
      assert.equal(await store.consumers.get(ORDERS), undefined, "A refused declaration leaves nothing.");
    },
  },
  {
    id: "checkpoints/start/since",
    promise:
      "A consumer that starts since a moment gets the first event that occurred then or later, and all after it.",
    tooth: {
      lie: "leaves out the first event of that moment",
      adapter: (real) =>
        override(real, () => ({
          positionBefore: async (time, op) => {
            const before = await real.positionBefore(time, op);
            const { events } = await real.readAll({ after: before, bytes: 1_000_000, limit: 1, scope: EVERYTHING }, op);
            return events[0]?.position ?? before;
          },
        })),
    },
    check: async ({ store }) => {
      const days = [1, 2, 3].map((day) => new Date(Date.UTC(2026, 0, day)));
      const events = days.map((occurredOn) => ({ type: "deposited", data: null, occurredOn }));
      const { positions } = await store.append({ aggregate: account("a"), events });
      for (const [index, since] of days.entries()) {
        await declare(store, `since day ${index}`, { start: { since } });
        const before = index === 0 ? START : positions[index - 1];
        assert.equal((await enter(store, `since day ${index}`)).position, before, `Day ${index} begins there.`);
      }
      await declare(store, "since tomorrow", { start: { since: new Date(Date.UTC(2026, 0, 4)) } });
      assert.equal((await enter(store, "since tomorrow")).position, await store.head(), "Nothing happened since.");
    },
  },
  {
    id: "checkpoints/commit/moves",
    promise: "A commit moves the checkpoint, tells when, and every other client of the database sees it.",
    tooth: showsSegments("shows checkpoints one behind", (segment) => ({ ...segment, position: START })),
    check: async ({ store, open }) => {
      const other = await open();
      const [first, second] = await threeSteps(store);
      await declare(store);
      const zone = await enter(store);
      assert.equal(await zone.commit(() => first), first);
      assert.equal(await other.consumers.checkpoint(ORDERS), first);
      assert.equal(await zone.commit(() => second), second);
      assert.equal(zone.position, second, "The zone knows its checkpoint.");
      const state = await other.consumers.get(ORDERS);
      assert.equal(state?.segments[0]?.position, second);
      assert.ok(state?.segments[0]?.committedAt instanceof Date, "The time of the commit is told.");
    },
  },
  {
    id: "checkpoints/commit/segments",
    promise: "Each segment has a checkpoint of its own.",
    tooth: showsRows("shows the checkpoint of the first segment for all", (row) => ({
      ...row,
      segments: row.segments.map((segment) => ({ ...segment, position: row.segments[0]?.position })),
    })),
    check: async ({ store }) => {
      const [first, second] = await threeSteps(store);
      await declare(store, ORDERS, { segments: 4 });
      await (await enter(store, ORDERS, { segment: 1 })).commit(() => first);
      await (await enter(store, ORDERS, { segment: 3 })).commit(() => second);
      const state = await store.consumers.get(ORDERS);
      assert.deepEqual(
        state?.segments.map(({ position }) => position),
        [START, first, START, second],
      );
      assert.equal(
        await store.consumers.checkpoint(ORDERS, { segment: 0 }),
        undefined,
        "Segment 0 has committed nothing.",
      );
      assert.equal(await store.consumers.checkpoint(ORDERS, { segment: 3 }), second);
    },
  },
  {
    id: "checkpoints/commit/compare-and-set",
    promise: "A commit from another position than the stored one is refused, tells both, and changes nothing.",
    tooth: ignoresPosition,
    check: async (bench) => {
      const { store } = bench;
      const [first, second, third] = await threeSteps(store);
      await declare(store);
      const zone = await enter(store);
      await zone.commit(() => first);
      const error = await refuses("CHECKPOINT_CONFLICT", zone.commit(applied(bench, third), { from: second }));
      assert.deepEqual(error.details, { consumer: ORDERS, from: second, stored: first });
      assert.equal(await store.consumers.checkpoint(ORDERS), first, "The checkpoint is where it was.");
      await assertApplied(bench, 0);
      await fulfils(
        zone.commit(() => second),
        "The zone goes on from the stored checkpoint",
      );
    },
  },
  {
    id: "checkpoints/commit/lost-ack",
    promise: "Repeating a commit whose acknowledgement was lost succeeds, and its effects are there once.",
    tooth: ignoresPosition,
    check: async (bench) => {
      let acknowledged = false;
      const store = await bench.open({}, (real) =>
        crashingAt(real, "after-commit", () => {
          if (!acknowledged) throw unavailable();
        }),
      );
      const [first] = await threeSteps(store);
      await declare(store);
      const zone = await enter(store);
      await refuses("UNAVAILABLE", zone.commit(applied(bench, first)));
      acknowledged = true;
      await fulfils(zone.commit(applied(bench, first)), "The repeated commit is recognised");
      assert.equal(zone.position, first);
      assert.equal(await bench.store.consumers.checkpoint(ORDERS), first);
      await assertApplied(bench, 1);
    },
  },
  {
    id: "checkpoints/commit/with-effects",
    promise:
      "What a handler writes and the checkpoint are durable together or not at all, wherever the process is killed.",
    when: { shared: true },
    tooth: checkpointsAfterwards,
    check: async (bench) => {
      for (const step of CRASH_STEPS) {
        const [first, second] = await threeSteps(bench.store);
        await declare(bench.store, step, { start: { position: first } });
        const child = await bench.spawn("checkpoints/commit-and-die", { step, to: second.toString() });
        assert.equal(await child.gone(), "SIGKILL", `The process was killed ${step}.`);
        await assertTogether(bench, step, first);
      }
    },
  },
  {
    id: "checkpoints/commit/with-effects/lost-connection",
    promise:
      "What a handler writes and the checkpoint are there together or not at all, wherever the connection is lost.",
    tooth: checkpointsAfterwards,
    check: async (bench) => {
      for (const step of CRASH_STEPS) {
        const crash = (): void => {
          throw unavailable();
        };
        const store = await bench.open({}, (real) => crashingAt(vanishing(real), step, crash));
        const [first, second] = await threeSteps(bench.store);
        await declare(store, step, { start: { position: first } });
        const zone = await enter(store, step, { leaseMs: 1 });
        const commit = zone.commit(async (transaction) => {
          if (step === "before-handler") crash();
          const to = await applied(bench, second, step)(transaction);
          if (step === "after-effect") crash();
          return to;
        });
        await refuses("UNAVAILABLE", commit);
        await assertTogether(bench, step, first);
      }
    },
  },
  {
    id: "checkpoints/commit/failed-work",
    promise: "When the work of a commit fails, its error is what the caller gets, and nothing of it is there.",
    tooth: commitsWhatFailed,
    check: async (bench) => {
      const { store } = bench;
      await declare(store);
      const zone = await enter(store);
      const failure = new Error("no luck");
      const commit = zone.commit(async (transaction) => {
        await bench.database.effects.write(transaction.tx, "applied", "yes");
        throw failure;
      });
      assert.equal(await outcome(commit), failure, "The error is that of the work.");
      assert.equal(await bench.database.effects.read("applied"), undefined, "The effect is not there.");
      assert.equal(await store.consumers.checkpoint(ORDERS), undefined, "The checkpoint has not moved.");
    },
  },
  {
    id: "checkpoints/commit/clears-error",
    promise: "A commit clears the error state, in its own transaction.",
    tooth: {
      lie: "leaves the error where it is",
      adapter: (real) =>
        override(real, () => ({
          within: (tx) =>
            override(real.within(tx), (port) => ({
              fence: (fence, op) => port.fence({ ...fence, clearError: false }, op),
            })),
        })),
    },
    check: async ({ store }) => {
      const [first] = await threeSteps(store);
      await declare(store);
      await store.consumers.recordError(ORDERS, new Error("no luck"));
      const zone = await enter(store);
      await outcome(zone.commit(() => Promise.reject(new Error("no luck again"))));
      assert.equal(await errorOf(store, (error) => error?.count), 1, "A commit that fails clears nothing.");
      await zone.commit(() => first);
      assert.equal(await errorOf(store, (error) => error), undefined, "A commit that succeeds clears it.");
    },
  },
  {
    id: "checkpoints/never-backwards/commit",
    promise: "A commit never lowers a checkpoint.",
    tooth: handsOut("takes a lower checkpoint without a word", (zone) => ({
      commit: (work, options) => unless("INVALID_ARGUMENT", zone.commit(work, options), async () => zone.position),
    })),
    check: async ({ store }) => {
      const [first, second] = await threeSteps(store);
      await declare(store);
      const zone = await enter(store);
      await zone.commit(() => second);
      await refuses(
        "INVALID_ARGUMENT",
        zone.commit(() => first),
      );
      assert.equal(await store.consumers.checkpoint(ORDERS), second, "It is where it was.");
    },
  },
  {
    id: "checkpoints/never-backwards/reset-held",
    promise: "A reset is refused while somebody holds a zone of the consumer, and changes nothing.",
    tooth: {
      lie: "resets a consumer that runs",
      adapter: (real) =>
        changeRecords(real, (records) => ({
          reset: async (key, position, op) => {
            const row = await records.get(key, op);
            for (const { segment, token } of row?.segments ?? []) {
              await real.zones.leave({ ...key, generation: row?.generation ?? 1, segment }, token, op);
            }
            return records.reset(key, position, op);
          },
        })),
    },
    check: async ({ store, open }) => {
      const [first] = await threeSteps(store);
      await declare(store, ORDERS, { segments: 2 });
      const zone = await enter(store, ORDERS, { segment: 1 });
      await zone.commit(() => first);
      const operator = await open();
      await refuses("ZONE_HELD", operator.consumers.reset(ORDERS, "beginning"));
      assert.equal(await operator.consumers.checkpoint(ORDERS, { segment: 1 }), first, "It is where it was.");
      await fulfils(
        zone.commit(() => first),
        "The holder goes on",
      );
    },
  },
  {
    id: "checkpoints/never-backwards/reset",
    promise: "A reset sets all segments to a start, backwards or forwards.",
    tooth: {
      lie: "says that it has reset a consumer and has not",
      adapter: (real) => changeRecords(real, () => ({ reset: async () => "done" })),
    },
    check: async ({ store }) => {
      const [first, second, third] = await threeSteps(store);
      await declare(store, ORDERS, { segments: 2 });
      const zone = await enter(store, ORDERS, { segment: 1 });
      await zone.commit(() => second);
      await zone.leave();
      for (const [to, expected] of [
        [{ position: first }, first],
        ["head", third],
        ["beginning", START],
      ] as const) {
        await store.consumers.reset(ORDERS, to);
        const state = await store.consumers.get(ORDERS);
        assert.deepEqual(
          state?.segments.map(({ position }) => position),
          [expected, expected],
        );
      }
      assert.equal((await enter(store, ORDERS, { segment: 1 })).position, START, "A zone goes on from there.");
    },
  },
  {
    id: "checkpoints/never-backwards/reset-unknown",
    promise: "A consumer that is not declared cannot be reset.",
    tooth: operates("declares a consumer by itself", (real) => ({
      reset: async (consumer, to) => {
        await real.declare(consumer, { kind: "projector" });
        await real.reset(consumer, to);
      },
    })),
    check: async ({ store }) => {
      await refuses("CONSUMER_UNKNOWN", store.consumers.reset(ORDERS, "head"));
      await store.consumers.disable(ORDERS);
      await refuses("CONSUMER_UNKNOWN", store.consumers.reset(ORDERS, "head"));
    },
  },
  {
    id: "checkpoints/enabled/default",
    promise: "A consumer is enabled unless it was disabled, also one that nobody knows.",
    tooth: operates("takes what it does not know for disabled", (real) => ({
      isEnabled: async (consumer) => (await real.get(consumer))?.enabled ?? false,
    })),
    check: async ({ store }) => {
      assert.equal(await store.consumers.isEnabled(ORDERS), true, "An unknown consumer is enabled.");
      await store.consumers.recordError(ORDERS, new Error("no luck"));
      assert.equal(await store.consumers.isEnabled(ORDERS), true, "One that has failed is enabled.");
      await declare(store);
      assert.equal(await store.consumers.isEnabled(ORDERS), true, "One that is declared is enabled.");
    },
  },
  {
    id: "checkpoints/enabled/before-first-commit",
    promise: "A consumer can be disabled and enabled again before it is declared.",
    tooth: {
      lie: "forgets the flag of a consumer that is not declared",
      adapter: (real) =>
        changeRecords(real, (records) => ({
          setEnabled: async (key, enabled, op) => {
            const row = await records.get(key, op);
            if (row?.kind !== undefined) await records.setEnabled(key, enabled, op);
          },
        })),
    },
    check: async ({ store }) => {
      await store.consumers.disable(ORDERS);
      assert.equal(await store.consumers.isEnabled(ORDERS), false);
      await declare(store);
      assert.equal(await store.consumers.isEnabled(ORDERS), false, "Declaring it leaves it disabled.");
      await store.consumers.enable(ORDERS);
      assert.equal(await store.consumers.isEnabled(ORDERS), true);
    },
  },
  {
    id: "checkpoints/enabled/survives",
    promise: "The flag outlives the store that set it, commits, resets and errors.",
    tooth: {
      lie: "keeps the flag in the memory of its process",
      adapter: (real) => {
        let flag = true;
        return changeRecords(real, (records) => ({
          setEnabled: async (_key, enabled) => {
            flag = enabled;
          },
          get: async (key, op) => {
            const row = await records.get(key, op);
            return row === undefined ? undefined : { ...row, enabled: flag };
          },
        }));
      },
    },
    check: async ({ store, open }) => {
      const [first] = await threeSteps(store);
      const operator = await open();
      await declare(operator);
      await operator.consumers.disable(ORDERS);
      await operator.close();
      const zone = await enter(store);
      await zone.commit(() => first);
      await zone.leave();
      await store.consumers.recordError(ORDERS, new Error("no luck"));
      await store.consumers.reset(ORDERS, "beginning");
      assert.equal(await store.consumers.isEnabled(ORDERS), false, "It is disabled for everyone.");
      assert.equal((await store.consumers.get(ORDERS))?.enabled, false);
    },
  },
  {
    id: "checkpoints/errors/first-pinned",
    promise:
      "The first error after a success pins the time since when; later ones raise only the last time and the count.",
    tooth: showsSegments("takes the last error for the first", (segment) => ({
      ...segment,
      error: segment.error === undefined ? undefined : { ...segment.error, since: segment.error.lastAt },
    })),
    check: async ({ store }) => {
      await declare(store);
      await store.consumers.recordError(ORDERS, new Error("first"));
      const first = await errorOf(store, (error) => error?.since);
      await eventually("A later error has a later time", async () => {
        await store.consumers.recordError(ORDERS, new Error("later"));
        return errorOf(store, (error) => error !== undefined && first !== undefined && error.lastAt > first);
      });
      assert.deepEqual(await errorOf(store, (error) => error?.since), first, "The first time stays.");
    },
  },
  {
    id: "checkpoints/errors/count",
    promise: "Errors are counted, also several at once.",
    tooth: showsSegments("counts to one", (segment) => ({
      ...segment,
      error: segment.error === undefined ? undefined : { ...segment.error, count: 1 },
    })),
    check: async ({ store, open }) => {
      const other = await open();
      await declare(store);
      const errors = [1, 2, 3, 4, 5].map((number) => new Error(`error ${number}`));
      await Promise.all(
        errors.map((error, index) => (index % 2 === 0 ? store : other).consumers.recordError(ORDERS, error)),
      );
      assert.equal(await errorOf(store, (error) => error?.count), 5);
    },
  },
  {
    id: "checkpoints/errors/text",
    promise: "The text of the last error tells its name, its message and where it was thrown.",
    tooth: {
      lie: "keeps the first line of an error",
      adapter: (real) =>
        changeRecords(real, (records) => ({
          recordError: (key, text, op) => records.recordError(key, text.split("\n").slice(0, 1).join(), op),
        })),
    },
    check: async ({ store }) => {
      await store.consumers.recordError(ORDERS, new Error("first"));
      await store.consumers.recordError(ORDERS, new RangeError("out of \u{1f30a} range"));
      const text = await errorOf(store, (error) => error?.text);
      assert.match(text ?? "", /^RangeError: out of \u{1f30a} range\n\s+at /u);
    },
  },
  {
    id: "checkpoints/errors/healthy",
    promise: "A consumer without errors since its last success is healthy, and so is one that never ran.",
    tooth: showsSegments("takes every consumer for ill", (segment) => ({
      ...segment,
      error: segment.error ?? { since: 0, lastAt: 0, count: 0, text: "" },
    })),
    check: async ({ store }) => {
      await store.consumers.disable(ORDERS);
      assert.equal(await errorOf(store, (error) => error), undefined, "One that was only disabled is healthy.");
      await declare(store);
      assert.equal(await errorOf(store, (error) => error), undefined, "One that was only declared is healthy.");
    },
  },
  {
    id: "checkpoints/list/complete",
    promise: "The list has every consumer and version once, by name in the order of its bytes, however many there are.",
    tooth: {
      lie: "lists the first page only",
      adapter: (real) =>
        changeRecords(real, (records) => ({
          list: async (after, limit, op) => (after === undefined ? records.list(after, limit, op) : []),
        })),
    },
    check: async ({ store }) => {
      const names = Array.from({ length: 120 }, (_, index) => `consumer ${String(index).padStart(3, "0")}`);
      const sorted = ["Z", "a", "a", ...names, "\u00e9", "\uffee", "\u{1f30a}"];
      for (const name of sorted.toReversed()) await store.consumers.disable(name);
      await store.consumers.disable({ name: "a", version: 2 });
      const listed = await collect(store.consumers.list());
      assert.deepEqual(
        listed.map(({ name }) => name),
        sorted,
      );
      assert.deepEqual(
        listed.filter(({ name }) => name === "a").map(({ version }) => version),
        [1, 2],
      );
    },
  },
  {
    id: "checkpoints/list/lag",
    promise: "The list tells for each segment how far it is behind the head.",
    tooth: showsSegments("takes every consumer for one that is at the beginning", (segment) => ({
      ...segment,
      position: START,
    })),
    check: async ({ store }) => {
      const [first, , third] = await threeSteps(store);
      await declare(store, "behind", { start: { position: first } });
      await declare(store, "caught up", { start: "head" });
      await declare(store, "new");
      const states = await collect(store.consumers.list());
      assert.deepEqual(
        states.map(({ name, segments }) => [name, segments[0]?.lag]),
        [
          ["behind", third - first],
          ["caught up", 0n],
          ["new", third - START],
        ],
      );
    },
  },
  {
    id: "checkpoints/list/holder",
    promise: "The list tells who holds a zone, for as long as somebody does.",
    tooth: showsSegments("takes every zone for free", (segment) => ({ ...segment, held: false })),
    check: async ({ store }) => {
      await declare(store);
      const zone = await enter(store, ORDERS, { owner: "somebody" });
      assert.equal((await store.consumers.get(ORDERS))?.segments[0]?.owner, "somebody");
      await zone.leave();
      assert.equal((await store.consumers.get(ORDERS))?.segments[0]?.owner, undefined, "Nobody holds it any more.");
    },
  },
  {
    id: "checkpoints/delete/forgets",
    promise: "Deleting a consumer forgets its checkpoint, its flag and its errors.",
    tooth: {
      lie: "keeps the flag of a consumer that it forgets",
      adapter: (real) =>
        changeRecords(real, (records) => ({
          remove: async (key, op) => {
            const row = await records.get(key, op);
            const outcome = await records.remove(key, op);
            if (row?.enabled === false) await records.setEnabled(key, false, op);
            return outcome;
          },
        })),
    },
    check: async ({ store }) => {
      const [first] = await threeSteps(store);
      await declare(store, ORDERS, { segments: 2 });
      const zone = await enter(store);
      await zone.commit(() => first);
      await zone.leave();
      await store.consumers.recordError(ORDERS, new Error("no luck"));
      await store.consumers.disable(ORDERS);
      await store.consumers.delete(ORDERS);
      assert.equal(await store.consumers.get(ORDERS), undefined, "Nothing is known of it.");
      await declare(store);
      assert.equal(await store.consumers.isEnabled(ORDERS), true, "It is enabled.");
      assert.equal(await store.consumers.checkpoint(ORDERS), undefined, "It has no checkpoint.");
      assert.equal(await errorOf(store, (error) => error), undefined, "It has no errors.");
      assert.equal((await enter(store)).position, START, "It begins anew, in one segment.");
    },
  },
  {
    id: "checkpoints/delete/idempotent",
    promise: "Deleting a consumer that is not there does nothing, and leaves all others alone.",
    tooth: {
      lie: "forgets all versions of a consumer at once",
      adapter: (real) =>
        changeRecords(real, (records) => ({
          remove: async (key, op) => {
            for (const { key: stored } of await records.list(undefined, 100, op)) {
              if (stored.name === key.name) await records.remove(stored, op);
            }
            return "done";
          },
        })),
    },
    check: async ({ store }) => {
      await store.consumers.disable({ name: ORDERS, version: 2 });
      await fulfils(store.consumers.delete(ORDERS), "Deleting what is not there is allowed");
      await declare(store);
      await store.consumers.delete(ORDERS);
      await fulfils(store.consumers.delete(ORDERS), "Deleting twice is allowed");
      assert.equal(await store.consumers.isEnabled({ name: ORDERS, version: 2 }), false, "Version 2 is still there.");
    },
  },
  {
    id: "checkpoints/isolation/bytes",
    promise: "Names of consumers are compared by bytes: what differs in case, accents or spaces is another consumer.",
    tooth: confuses("compares names without regard to case", (name) => name.toLowerCase()),
    check: ({ store }) => assertIsolated(store, ["Z", "z", "a", "a ", " a", "\u00e9", "e\u0301", "ss", "\u00df"]),
  },
  {
    id: "checkpoints/isolation/hostile",
    promise: "Names of consumers may hold quotes, wildcards, backslashes, line breaks and emoji.",
    tooth: confuses("takes a percent sign for any text", (name) => name.replaceAll(/[%_].*$/gu, "%")),
    check: ({ store }) =>
      assertIsolated(store, ["'; drop table events; --", '"', "\\", "%", "_", "\n", "\u{1f30a}", "a\tb"]),
  },
  {
    id: "checkpoints/isolation/long",
    promise: "Names of consumers may be 200 bytes long and are told apart by their last one.",
    tooth: confuses("cuts names off after 191 characters", (name) => name.slice(0, 191)),
    check: ({ store }) => assertIsolated(store, [`${"x".repeat(199)}a`, `${"x".repeat(199)}b`, "\u{1f30a}".repeat(50)]),
  },
  {
    id: "checkpoints/isolation/too-long",
    promise: "A name of more than 200 bytes is refused, with the limit named.",
    tooth: operates("cuts off what is too long", (real) => ({
      disable: (consumer) => real.disable(typeof consumer === "string" ? consumer.slice(0, 100) : consumer),
    })),
    check: async ({ store }) => {
      for (const name of ["x".repeat(201), "\u00e9".repeat(101)]) {
        const error = await refuses("LIMIT_EXCEEDED", store.consumers.disable(name));
        assert.equal(error.details.limit, "consumerNameBytes");
      }
      assert.deepEqual(await collect(store.consumers.list()), [], "Nothing is stored.");
    },
  },
  {
    id: "checkpoints/isolation/versions",
    promise: "Two versions of a consumer have checkpoints, flags and errors of their own.",
    tooth: {
      lie: "takes every version for the first",
      adapter: (real) =>
        changeRecords(real, (records) => ({
          get: (key, op) => records.get({ ...key, version: 1 }, op),
          setEnabled: (key, enabled, op) => records.setEnabled({ ...key, version: 1 }, enabled, op),
        })),
    },
    check: async ({ store }) => {
      await store.consumers.disable({ name: ORDERS, version: 2 });
      await store.consumers.recordError({ name: ORDERS, version: 3 }, new Error("no luck"));
      await declare(store);
      assert.equal(await store.consumers.isEnabled(ORDERS), true);
      assert.equal(await store.consumers.isEnabled({ name: ORDERS, version: 2 }), false);
      assert.equal((await store.consumers.get({ name: ORDERS, version: 3 }))?.segments[0]?.error?.count, 1);
      assert.equal((await store.consumers.get({ name: ORDERS, version: 2 }))?.kind, undefined);
    },
  },
];

const EVERYTHING = { contexts: [], aggregateTypes: [], eventTypes: [], segment: 0, segments: 1 } as const;

const UNKNOWN = {
  kind: undefined,
  start: undefined,
  logId: undefined,
  enabled: true,
  active: false,
  generation: 1,
  layout: undefined,
  segments: [
    { segment: 0, position: START, committedAt: 0, owner: undefined, token: 0n, held: false, error: undefined },
  ],
} as const;

type ErrorOf = NonNullable<ConsumerState["segments"][number]["error"]>;

async function errorOf<Tx, T>(store: Store<Tx>, look: (error: ErrorOf | undefined) => T): Promise<T> {
  return look((await store.consumers.get(ORDERS))?.segments[0]?.error);
}

/** The work of a commit that writes a row and appends an event, and moves to `to`. What is applied twice shows. */
function applied<Tx>(
  { database }: Bench<Tx>,
  to: Position,
  key = "applied",
): (transaction: FencedTransaction<Tx>) => Promise<Position> {
  return async ({ tx, append }) => {
    append({ aggregate: account(key), events: [{ type: "applied", data: null }] });
    await database.effects.write(tx, key, "yes");
    return to;
  };
}

async function assertApplied<Tx>({ store, database }: Bench<Tx>, times: number, key = "applied"): Promise<void> {
  const events = await collect(store.readAggregate(account(key)));
  assert.equal(events.length, times, `The event was appended ${times} times.`);
  assert.equal(await database.effects.read(key), times === 0 ? undefined : "yes", "The row is there with the event.");
}

/** After a crash at `step`: nothing is there before the commit, everything after it. */
async function assertTogether<Tx>(bench: Bench<Tx>, step: CrashStep, start: Position): Promise<void> {
  const committed = step === "after-commit";
  const zone = await inherit(bench.store, step);
  assert.equal(zone.position > start, committed, `Killed ${step}, the checkpoint has ${committed ? "" : "not "}moved.`);
  await assertApplied(bench, committed ? 1 : 0, step);
}

/** Each of these consumers has a flag, a checkpoint and a zone of its own. */
async function assertIsolated<Tx>(store: Store<Tx>, names: readonly string[]): Promise<void> {
  const { positions } = await store.append(deposit("a", names.length));
  const checkpoints = new Map(names.map((name, index) => [name, positions[index] ?? START]));
  for (const [name, position] of checkpoints) {
    await declare(store, name);
    await fulfils(
      (await enter(store, name)).commit(() => position),
      `${JSON.stringify(name)} begins at the beginning`,
    );
  }
  for (const [name, position] of checkpoints) {
    assert.equal(await store.consumers.checkpoint(name), position, `${JSON.stringify(name)} has its own checkpoint.`);
  }
  const [first, ...others] = names;
  await store.consumers.disable(first ?? "");
  for (const name of others) {
    assert.equal(await store.consumers.isEnabled(name), true, `${JSON.stringify(name)} has its own flag.`);
  }
  const listed = await collect(store.consumers.list());
  assert.deepEqual(listed.map(({ name }) => name).toSorted(), names.toSorted(), "All of them are listed as they are.");
}

/** A position that the log has not reached yet. */
function beyond(position: Position): Position {
  return toPosition(position + 1n);
}

import {
  consume,
  type ConsumeOptions,
  type ConsumeResult,
  type EventSource,
  type Executor,
  type HandlerContext,
  isTidemarkError,
  type Observation,
  type Observer,
  type Position,
  type RecordedEvent,
  START,
  TidemarkError,
  TransientError,
} from "@tidemark/core";
import { ORDERS } from "../consumers.ts";
import { account } from "../events.ts";
import {
  assert,
  atOnce,
  collect,
  eventually,
  fulfils,
  gate,
  later,
  outcome,
  promptly,
  refuses,
  turn,
} from "../expect.ts";
import { changeRecords, unavailable, vanishing } from "../faults.ts";
import { type Law, override } from "../law.ts";
import { alwaysEnabled, commitsAs, sharesEvents, zonesOf } from "../lies/consuming.ts";
import {
  consumesObservers,
  forgetsCompletions,
  ignoresAggregates,
  observesAs,
  observesBy,
  observesWith,
  parksAfterwards,
  passesWhatRuns,
  stopsAtGaps,
} from "../lies/observers.ts";
import {
  at,
  changeClaims,
  CLAIM_STEPS,
  crashingAtClaim,
  depositTo,
  hold,
  observer,
  sight,
  telling,
  withGaps,
} from "../observers.ts";
import { type Deposit, isAmount } from "../projectors.ts";
import { lawsAbout, type Scene, type SceneLaw } from "../scene.ts";

const { withOwnLog, withForeignLog } = lawsAbout("consuming");

/** These hold with the events beside the state, and with the events in another log. */
const inAnyLog: readonly SceneLaw[] = [
  {
    name: "observer/first-start",
    promise: "A new observer handles what is appended after its first start, and nothing from before.",
    tooth: observesAs("starts an observer at the beginning of the log", () => ({ start: "beginning" })),
    check: async ({ log, run }) => {
      const { seen, handle } = sight();
      await depositTo(log, ["a", "b"]);
      const first = await run(observer(handle, { start: "head" }));
      assert.deepEqual([first.kind, handledBy(first)], ["caught-up", 0]);
      await depositTo(log, ["a", "b"], 3);
      await run(observer(handle, { start: "head" }));
      assert.deepEqual(sorted(seen), [3, 4]);
    },
  },
  {
    name: "observer/all",
    promise: "An observer handles every event of its scope once, over all pages and cycles.",
    tooth: observesBy("calls each handler twice", (handle) => async (event, context) => {
      await handle(event, context);
      await handle(event, context);
    }),
    check: async ({ log, run, store }) => {
      const { seen, handle } = sight();
      await depositTo(log, ["a", "b", "c", "a", "b", "c", "a"]);
      await log.append({ aggregate: account("a"), events: [{ type: "closed", data: null }] });
      const result = await run(observer(handle), { fetchSize: 2 });
      assert.deepEqual(result, { kind: "caught-up", handled: 7, position: await log.head() });
      await depositTo(log, ["c", "b"], 8);
      assert.equal(handledBy(await run(observer(handle))), 2, "A later cycle handles what is new.");
      assert.deepEqual(sorted(seen), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
      assert.equal(await store.consumers.checkpoint(ORDERS), await log.head());
    },
  },
  {
    name: "observer/lanes/side-by-side",
    promise: "Handlers of different aggregates run side by side.",
    tooth: observesAs("runs one handler after the other", () => ({ concurrency: 1 })),
    check: async ({ log, run }) => {
      await depositTo(log, ["a", "b", "c"]);
      const held = hold(1, 2, 3);
      const cycle = later(run(observer(held.handle)));
      await promptly("All three are under way at once", Promise.all([1, 2, 3].map((amount) => held.begins(amount))));
      held.letGo();
      assert.equal(handledBy(await cycle), 3);
    },
  },
  {
    name: "observer/lanes/in-order",
    promise: "Handlers of one aggregate run one after the other, in the order of its versions.",
    tooth: ignoresAggregates,
    check: async ({ log, run }) => {
      await depositTo(log, ["a", "b", "a", "b", "a"]);
      const running = new Set<string>();
      const seen: string[] = [];
      const handle = async ({ aggregate: { id }, version }: RecordedEvent): Promise<void> => {
        assert.ok(!running.has(id), `Two handlers of ${id} run at once.`);
        running.add(id);
        await turn();
        running.delete(id);
        seen.push(`${id}${version}`);
      };
      const result = await run(observer(handle, { failure: { attempts: 1, then: "stop" } }));
      if (result.kind === "stopped") throw result.error;
      assert.deepEqual(
        seen.filter((event) => event.startsWith("a")),
        ["a1", "a2", "a3"],
      );
      assert.deepEqual(
        seen.filter((event) => event.startsWith("b")),
        ["b1", "b2"],
      );
    },
  },
  {
    name: "observer/concurrency",
    promise: "No more handlers run at once than the observer's concurrency allows.",
    tooth: observesAs("runs one handler more than it may", ({ concurrency }) => ({ concurrency: concurrency + 1 })),
    check: async ({ log, run }) => {
      await depositTo(log, ["a", "b", "c", "d", "e", "f"]);
      let [running, most] = [0, 0];
      const handle = async (): Promise<void> => {
        running += 1;
        most = Math.max(most, running);
        await turn();
        running -= 1;
      };
      assert.equal(handledBy(await run(observer(handle, { concurrency: 2 }))), 6);
      assert.equal(most, 2);
    },
  },
  {
    name: "observer/max-in-flight",
    promise: "An observer reads no more events than it may have unhandled.",
    tooth: observesAs("reads as much as there is", () => ({ maxInFlight: 1_000 })),
    check: async ({ log, run }) => {
      await depositTo(log, ["a", "b", "c", "d", "e", "f", "g"]);
      const { seen, handle } = sight();
      let [read, most] = [0, 0];
      const counted = override(log, (real) => ({
        readAll: async (query) => {
          const page = await real.readAll(query);
          read += page.events.length;
          most = Math.max(most, read - seen.length);
          return page;
        },
      }));
      const slow = observer(
        async (event, context) => {
          await turn();
          handle(event, context);
        },
        { maxInFlight: 2 },
      );
      assert.equal(handledBy(await run(slow, { log: counted })), 7);
      assert.equal(most, 2, "Read and not handled at any time.");
    },
  },
  {
    name: "observer/reads-on",
    promise: "While a handler takes its time, events of other aggregates that are appended meanwhile are handled.",
    tooth: consumesObservers("waits for its handlers before it looks for more", async (store, consumer, options) => {
      const log = options.log ?? store;
      const running = new Set<Promise<unknown>>();
      const handle: Observer["handle"] = (event, context) => {
        const run = Promise.resolve(consumer.handle(event, context));
        running.add(run);
        return run.finally(() => running.delete(run));
      };
      const source = override(log, (real) => ({
        readAll: async (query) => {
          await Promise.allSettled(running);
          return real.readAll(query);
        },
      }));
      return consume(store, { ...consumer, handle }, { ...options, log: source });
    }),
    check: async ({ log, run }) => {
      const held = hold(1);
      await depositTo(log, ["a"]);
      const cycle = later(run(observer(held.handle)));
      await held.begins(1);
      await depositTo(log, ["b"], 2);
      await promptly("The event of the other aggregate is handled", held.finishes(2));
      assert.deepEqual(held.seen, [2], "The first one still runs.");
      held.letGo();
      assert.equal(handledBy(await cycle), 2);
    },
  },
  {
    name: "observer/own-events",
    promise: "An observer has caught up only when it has also handled what its handlers have appended.",
    tooth: consumesObservers("sees the log as it was when it began", async (store, given, options) => {
      const log = options.log ?? store;
      const end = await log.head();
      const source = override(log, (real) => ({
        readAll: async (query) => {
          const { events, next } = await real.readAll(query);
          return { events: events.filter(({ position }) => position <= end), next: next < end ? next : end };
        },
      }));
      return consume(store, given, { ...options, log: source });
    }),
    check: async ({ log, run }) => {
      await depositTo(log, ["a"]);
      const [isRead, isDone] = [gate(), gate()];
      const handle = async ({ data: { amount } }: Deposit): Promise<void> => {
        if (amount > 1) return;
        await isRead.passed;
        await depositTo(log, ["b"], 2);
        isDone.open();
      };
      // The handler gets done between the reading of the log's end and the answer.
      const source = override<EventSource>(log, (real) => ({
        readAll: async (query) => {
          const page = await real.readAll(query);
          if (page.events.length > 0) return page;
          isRead.open();
          await isDone.passed;
          await turn();
          return page;
        },
      }));
      const result = await run(observer(handle), { log: source });
      assert.deepEqual(result, { kind: "caught-up", handled: 2, position: await log.head() });
    },
  },
  {
    name: "observer/limit",
    promise: "An observer handles at most as many events as it is told to, and the next cycle goes on behind them.",
    tooth: observesWith("handles everything there is", { maxEvents: undefined }),
    check: async ({ log, run }) => {
      await depositTo(log, ["a", "b", "a", "b", "a"]);
      const { seen, handle } = sight();
      const limited = await run(observer(handle), { maxEvents: 2 });
      assert.deepEqual([limited.kind, sorted(seen)], ["limit", [1, 2]]);
      await run(observer(handle));
      assert.deepEqual(sorted(seen), [1, 2, 3, 4, 5]);
    },
  },
  {
    name: "observer/watermark",
    promise:
      "The checkpoint of an observer stands before the first event that is not done, whatever is done behind it.",
    tooth: passesWhatRuns,
    check: async ({ store, log, run, open }) => {
      const positions = await depositTo(log, ["a", "b", "c", "d"]);
      const recorded = new Set<Position>();
      const told = await open({}, (real) =>
        telling(real, (done) => done.forEach((position) => recorded.add(position))),
      );
      const held = hold(2);
      const cycle = later(run(observer(held.handle), {}, told));
      await eventually(
        "What is done is recorded",
        () => recorded.has(at(positions, 2)) && recorded.has(at(positions, 3)),
      );
      assert.equal(await store.consumers.checkpoint(ORDERS), at(positions, 0), "The second event is not done.");
      held.letGo();
      assert.equal((await cycle).kind, "caught-up");
      assert.equal(await store.consumers.checkpoint(ORDERS), at(positions, 3));
    },
  },
  {
    name: "observer/watermark/gaps",
    promise: "Gaps in the positions do not hold the checkpoint of an observer.",
    tooth: stopsAtGaps,
    check: async ({ store, log, run }) => {
      await depositTo(log, ["a", "b"]);
      await log.append({ aggregate: account("a"), events: [{ type: "closed", data: null }] });
      await depositTo(log, ["c"], 3);
      const { seen, handle } = sight();
      const gapped = withGaps(log);
      const result = await run(observer(handle), { log: gapped, fetchSize: 1 });
      assert.deepEqual([result.kind, sorted(seen)], ["caught-up", [1, 2, 3]]);
      assert.equal(await store.consumers.checkpoint(ORDERS), await gapped.head());
    },
  },
  {
    name: "observer/resume/bounded",
    promise:
      "What is done is recorded before more begins than may run at once: with one at a time, a crash repeats one.",
    tooth: observesAs("begins more handlers than it has places for", () => ({ concurrency: 4 })),
    check: async ({ store, log, run }) => {
      const positions = await depositTo(log, ["a", "b", "a", "c", "d", "e"]);
      const handle = async ({ data, position }: Deposit): Promise<void> => {
        const [segment] = (await store.consumers.get(ORDERS))?.segments ?? [];
        const before = positions.findLast((earlier) => earlier < position) ?? 0n;
        assert.ok(
          (segment?.position ?? 0n) >= before,
          `Event ${data.amount} begins before the one before is recorded.`,
        );
      };
      const result = await run(observer(handle, { concurrency: 1, failure: { then: "stop", attempts: 1 } }));
      assert.equal(result.kind, "caught-up", "No handler found its predecessor unrecorded.");
    },
  },
  {
    name: "observer/resume/vanished",
    promise:
      "Who goes on after a crash repeats the handlers that were in flight, and none that were done, in any order.",
    tooth: forgetsCompletions,
    check: async (scene) => {
      const { log, run, open } = scene;
      const positions = await depositTo(log, ["a", "b", "c", "a", "d"]);
      const recorded = new Set<Position>();
      const tell = (done: readonly Position[]): void => done.forEach((position) => recorded.add(position));
      const victim = await open({}, (real) => telling(vanishing(real), tell));
      const held = hold(1, 3);
      const cycle = later(run(observer(held.handle), { leaseMs: 1 }, victim));
      await eventually(
        "What is done is recorded",
        () => recorded.has(at(positions, 1)) && recorded.has(at(positions, 4)),
      );
      const { seen, handle } = sight();
      await takeOver(scene, observer(handle));
      assert.deepEqual(sorted(seen), [1, 3, 4], "In flight were 1 and 3; 4 waited behind 1.");
      held.letGo();
      assert.equal((await cycle).kind, "zone-lost");
    },
  },
  {
    name: "observer/resume/killed",
    promise:
      "After its process was killed an observer repeats the handlers that were in flight, and none that were done.",
    when: { shared: true },
    tooth: forgetsCompletions,
    check: async (scene) => {
      const { log, spawn, elsewhere } = scene;
      const positions = await depositTo(log, ["a", "b", "c", "a", "d"]);
      const child = await spawn("observers/hang", { held: [1, 3], config: elsewhere?.process?.config });
      const expected = new Set([at(positions, 1), at(positions, 4)].map(String));
      while (expected.size > 0) for (const position of asTexts(await child.hear("recorded"))) expected.delete(position);
      await child.kill();
      const { seen, handle } = sight();
      await takeOver(scene, observer(handle));
      assert.deepEqual(sorted(seen), [1, 3, 4], "In flight were 1 and 3; 4 waited behind 1.");
    },
  },
  {
    name: "observer/drain",
    promise:
      "An observer that is told to stop lets its handlers finish, begins no other, and repeats and loses nothing.",
    tooth: observesWith("goes on when it is told to stop", { signal: undefined }),
    check: async ({ log, run }) => {
      await depositTo(log, ["a", "b", "a", "c"]);
      const stop = new AbortController();
      const held = hold(1, 2);
      const cycle = later(run(observer(held.handle, { concurrency: 2 }), { signal: stop.signal }));
      await Promise.all([held.begins(1), held.begins(2)]);
      stop.abort();
      assert.equal(await atOnce(cycle, 20), undefined, "It waits for them.");
      held.letGo();
      const result = await cycle;
      assert.deepEqual([result.kind, handledBy(result), sorted(held.seen)], ["aborted", 2, [1, 2]]);
      const { seen, handle } = sight();
      await run(observer(handle));
      assert.deepEqual(sorted(seen), [3, 4]);
    },
  },
  {
    name: "observer/disabled",
    promise: "An observer that is disabled in its own process begins no other handler; what is done stays done.",
    tooth: consumesObservers("takes every observer for enabled", (store, consumer, options) =>
      consume(
        override(store, (real) => ({
          consumers: override(real.consumers, alwaysEnabled),
          enterZone: async (name, how) => {
            const zone = await real.enterZone(name, how);
            return zone === undefined ? undefined : override(zone, () => ({ enabled: true }));
          },
        })),
        consumer,
        options,
      ),
    ),
    check: async ({ store, log, run }) => {
      await depositTo(log, ["a", "a", "a"]);
      const held = hold(1);
      const cycle = later(run(observer(held.handle)));
      await held.begins(1);
      await store.consumers.disable(ORDERS);
      held.letGo();
      const result = await cycle;
      assert.deepEqual([result.kind, held.begun], ["disabled", [1]]);
      assert.equal((await run(observer(held.handle))).kind, "disabled", "The flag stays.");
      await store.consumers.enable(ORDERS);
      await run(observer(held.handle));
      assert.deepEqual(held.seen, [1, 2, 3]);
    },
  },
  {
    name: "observer/unrecorded",
    promise: "A cycle of an observer whose last record fails rejects, however it would have ended.",
    tooth: consumesObservers("takes what it could not record for recorded", (store, consumer, options) =>
      consume(store, consumer, options).catch(() => ({ kind: "limit", handled: 1, position: START })),
    ),
    check: async ({ store, log, run, open }) => {
      const positions = await depositTo(log, ["a", "a"]);
      const ends: Readonly<Record<string, ConsumeOptions>> = {
        limit: { maxEvents: 1 },
        until: { until: at(positions, 0) },
        aborted: {},
        disabled: {},
        rejected: {},
      };
      for (const [end, only] of Object.entries(ends)) {
        const trouble = new Error("no luck");
        let isOut = false;
        const victim = await open({}, (real) =>
          override(real, () => ({
            transaction: async (work, op) => {
              if (isOut) throw trouble;
              return real.transaction(work, op);
            },
          })),
        );
        const stop = new AbortController();
        const ending = async (): Promise<void> => {
          if (end === "aborted") stop.abort();
          if (end === "disabled") await victim.consumers.disable(end);
          isOut = true;
        };
        let tasks = 0;
        const executor: Executor = async (task) => {
          tasks += 1;
          return end === "rejected" && tasks === 2 ? "rejected" : task();
        };
        const consumer = observer(ending, { name: end, concurrency: 2 });
        const running = run(consumer, { ...only, signal: stop.signal, executor }, victim);
        assert.equal(await outcome(running), trouble, `It rejects with what keeps it from recording (${end}).`);
        if (end === "disabled") await store.consumers.enable(end);
        const { seen, handle } = sight();
        await run(observer(handle, { name: end }));
        assert.deepEqual(seen, [1, 2], `The next cycle handles what is not recorded (${end}).`);
      }
    },
  },
  {
    name: "observer/zone-lost",
    promise: "When the zone of an observer is lost its handlers' signal fires, and it records nothing more.",
    tooth: observesBy(
      "gives handlers a signal that never fires",
      (handle) => (event, context) => handle(event, { ...context, signal: new AbortController().signal }),
    ),
    check: async (scene) => {
      const { store, log, run, open } = scene;
      const positions = await depositTo(log, ["a", "a"]);
      const [begun, takenOver] = [gate(), gate()];
      let fired = false;
      const obedient = async (_event: Deposit, { signal }: { readonly signal: AbortSignal }): Promise<void> => {
        begun.open();
        // Taking over takes as long as it takes.
        await takenOver.passed;
        await eventually("The signal fires", () => signal.aborted);
        fired = true;
      };
      // Its renewals do not reach the database until it is taken over; then they tell it so.
      let isTakenOver = false;
      const victim = await open({}, (real) =>
        override(real, () => ({
          zones: override(real.zones, (zones) => ({
            renew: async (...args) => (isTakenOver ? zones.renew(...args) : true),
          })),
        })),
      );
      const failure = { attempts: 1, then: "stop" } as const;
      const cycle = later(run(observer(obedient, { failure }), { leaseMs: 1 }, victim));
      await begun.passed;
      const { seen, handle } = sight();
      await takeOver(scene, observer(handle, { failure }), { maxEvents: 1 }).finally(() => {
        isTakenOver = true;
        takenOver.open();
      });
      const result = await cycle;
      if (result.kind === "stopped") throw result.error;
      assert.deepEqual([result.kind, fired], ["zone-lost", true]);
      assert.equal(await store.consumers.checkpoint(ORDERS), at(positions, 0), "The checkpoint is that of the heir.");
      await run(observer(handle, { failure }));
      assert.deepEqual(seen, [1, 2]);
    },
  },
  {
    name: "observer/executor",
    promise: "An executor runs every handler, and is told the aggregate and a signal.",
    tooth: observesWith("runs handlers itself", { executor: undefined }),
    check: async ({ log, run }) => {
      await depositTo(log, ["a", "b", "a"]);
      const { seen, handle } = sight();
      const asked: string[] = [];
      const executor: Executor = async (task, { aggregate, signal }) => {
        const before = seen.length;
        assert.equal(signal.aborted, false);
        await task();
        if (seen.length === before + 1) asked.push(aggregate.id);
      };
      await run(observer(handle, { concurrency: 1 }), { executor });
      assert.deepEqual(asked.toSorted(), ["a", "a", "b"]);
    },
  },
  {
    name: "observer/executor/rejected",
    promise: "A task that the executor rejects never ran: the cycle ends, and the next one offers it again.",
    tooth: consumesObservers("takes a rejected task for a done one", (store, consumer, { executor, ...options }) =>
      consume(store, consumer, {
        ...options,
        executor: async (task, about) => {
          await executor?.(task, about);
        },
      }),
    ),
    check: async ({ store, log, run }) => {
      const positions = await depositTo(log, ["a", "b", "c"]);
      const { seen, handle } = sight();
      let places = 1;
      const executor: Executor = async (task) => {
        if (places === 0) return "rejected";
        places -= 1;
        return task();
      };
      const result = await run(observer(handle, { concurrency: 1 }), { executor });
      assert.deepEqual([result.kind, handledBy(result), seen], ["rejected", 1, [1]]);
      assert.equal(await store.consumers.checkpoint(ORDERS), at(positions, 0), "The checkpoint stands before it.");
      assert.equal((await store.consumers.get(ORDERS))?.segments[0]?.error, undefined, "It is no failure.");
      await run(observer(handle));
      assert.deepEqual(sorted(seen), [1, 2, 3]);
    },
  },
  {
    name: "observer/executor/failed",
    promise: "An executor that fails counts as a failure of the event.",
    tooth: consumesObservers("takes a failed executor for a done task", (store, consumer, { executor, ...options }) =>
      consume(store, consumer, {
        ...options,
        executor: async (task, about) => executor?.(task, about).catch(() => undefined),
      }),
    ),
    check: async ({ log, run }) => {
      await depositTo(log, ["a"]);
      let calls = 0;
      const executor: Executor = async () => {
        calls += 1;
        throw new Error("no thread left");
      };
      const failure = { attempts: 2, then: "stop" } as const;
      const result = await run(observer(sight().handle, { failure }), { executor });
      assert.deepEqual([result.kind, calls], ["stopped", 2]);
    },
  },
  {
    name: "observer/event-immutable",
    promise: "What an observer's handler does to its event is seen by no later attempt and by no dead letter.",
    tooth: sharesEvents,
    check: async ({ store, log, run }) => {
      await depositTo(log, ["a"]);
      const seen: number[] = [];
      const careless = (event: Deposit): void => {
        seen.push(event.data.amount);
        // Frozen or not, all the same.
        Reflect.set(event.data, "amount", 99);
        throw new Error("poison");
      };
      await run(observer(careless, { failure: { attempts: 2, then: "park" } }));
      assert.deepEqual(seen, [1, 1], "Both attempts.");
      const [letter] = await collect(store.deadLetters.list(ORDERS));
      assert.deepEqual(letter?.event.data, { amount: 1 }, "The dead letter.");
    },
  },
  {
    name: "observer/transient",
    promise: "A transient failure of an observer's handler is waited out, and never counts as a failure of the event.",
    tooth: observesBy("takes a transient failure for a final one", (handle) => async (event, context) => {
      try {
        await handle(event, context);
      } catch {
        throw new Error("no luck");
      }
    }),
    check: async ({ store, log, run }) => {
      await depositTo(log, ["a", "b"]);
      const { seen, handle } = sight();
      let failures = 0;
      const shaky = (event: Deposit, context: HandlerContext): unknown => {
        if (!isAmount(event, 1) || failures === 3) return handle(event, context);
        failures += 1;
        throw new Error("query failed", { cause: new TransientError("not yet") });
      };
      const result = await run(observer(shaky, { failure: { attempts: 2, then: "skip" } }));
      assert.deepEqual([result.kind, sorted(seen)], ["caught-up", [1, 2]]);
      assert.equal((await store.consumers.get(ORDERS))?.segments[0]?.error, undefined, "It is no error.");
    },
  },
  {
    name: "observer/transient/own-statements",
    promise: "A lost connection, a deadlock and a lock that is not had while an observer records are waited out.",
    tooth: consumesObservers("gives up when the database is away for a moment", (store, consumer, options) =>
      consume(
        override(store, (real) => ({
          enterZone: async (name, how) => {
            const zone = await real.enterZone(name, how);
            if (zone === undefined) return undefined;
            return override(zone, () => ({
              commit: (work, more) =>
                zone.commit(work, more).catch((error: unknown) => {
                  throw isTidemarkError(error, "UNAVAILABLE") ? new Error("no luck") : error;
                }),
            }));
          },
        })),
        consumer,
        options,
      ),
    ),
    check: async ({ store, log, run, open }) => {
      await depositTo(log, ["a", "b", "c"]);
      const troubles = [
        unavailable(),
        new TidemarkError("CONTENTION", "The law says that this is a deadlock.", { adapter: "conformance" }),
        new TidemarkError("BUSY", "The law says that the lock was not had.", { adapter: "conformance", waitedMs: 1 }),
      ];
      const shaky = await open({}, (real) =>
        override(real, () => ({
          transaction: async (work, op) => {
            const trouble = troubles.shift();
            if (trouble !== undefined) throw trouble;
            return real.transaction(work, op);
          },
        })),
      );
      const { seen, handle } = sight();
      const result = await fulfils(run(observer(handle), { fetchSize: 1 }, shaky), "The cycle goes on");
      assert.deepEqual([result.kind, sorted(seen), troubles.length], ["caught-up", [1, 2, 3], 0]);
      assert.equal(await store.consumers.checkpoint(ORDERS), await log.head());
    },
  },
  {
    name: "observer/transient/lost-ack",
    promise: "What is done after a record whose acknowledgement was lost is recorded all the same.",
    tooth: forgetsCompletions,
    check: async (scene) => {
      const { log, run, open } = scene;
      const positions = await depositTo(log, ["a", "b", "c"]);
      const held = hold(2, 3);
      const recorded = new Set<Position>();
      const lost = gate();
      let losses = 0;
      // The record of 1 is committed, and 3 is done, before the acknowledgement is lost.
      const victim = await open({}, (real) =>
        override(
          telling(vanishing(real), (done) => done.forEach((position) => recorded.add(position))),
          (told) => ({
            transaction: async (work, op) => {
              const result = await told.transaction(work, op);
              const { position } = at((await real.consumers.get({ name: ORDERS, version: 1 }, op))?.segments ?? [], 0);
              if (position !== at(positions, 0) || losses > 0) return result;
              losses += 1;
              held.letGo(3);
              await held.finishes(3);
              lost.open();
              throw unavailable();
            },
          }),
        ),
      );
      const cycle = later(run(observer(held.handle), { leaseMs: 1 }, victim));
      await promptly("The record of the first event is committed", lost.passed);
      await eventually("What was done meanwhile is recorded", () => recorded.has(at(positions, 2)));
      const { seen, handle } = sight();
      await takeOver(scene, observer(handle));
      assert.deepEqual(seen, [2], "Only 2 was in flight.");
      held.letGo();
      await cycle;
    },
  },
  {
    name: "observer/transient/lost-ack/goes-on",
    promise: "A record whose acknowledgement was lost holds up no handler that waits for it, and nothing is repeated.",
    tooth: commitsAs("gives up when it finds a commit of its own", (zone) => ({
      commit: (work, how) =>
        zone.commit(work, how).catch((error: unknown) => {
          throw isTidemarkError(error, "CHECKPOINT_CONFLICT") ? new Error("no luck") : error;
        }),
    })),
    check: async ({ log, run, open }) => {
      const positions = await depositTo(log, ["a", "b", "c"]);
      let losses = 0;
      const losing = await open({}, (real) =>
        override(real, () => ({
          transaction: async (work, op) => {
            const result = await real.transaction(work, op);
            const { position } = at((await real.consumers.get({ name: ORDERS, version: 1 }, op))?.segments ?? [], 0);
            if (position !== at(positions, 0) || losses > 0) return result;
            losses += 1;
            throw unavailable();
          },
        })),
      );
      // Whoever asks on and on, and lets no timer through, would hold up this law as well: it ends that.
      let asked = 0;
      const counting = zonesOf(losing, (zone) => ({
        get position(): Position {
          asked += 1;
          assert.ok(asked <= 10_000, "It asks for its checkpoint without end.");
          return zone.position;
        },
      }));
      const { seen, handle } = sight();
      const cycle = run(observer(handle, { concurrency: 1 }), {}, counting);
      const result = await fulfils(promptly("The cycle ends", cycle), "The cycle goes on");
      assert.deepEqual([result.kind, seen, losses], ["caught-up", [1, 2, 3], 1]);
    },
  },
  {
    name: "observer/transient/keeps-error",
    promise:
      "The error of an event that an observer parks stays recorded, also when the letter is written at a second try.",
    tooth: commitsAs("clears the error with every commit", (zone) => ({
      commit: (work, how) => zone.commit(work, { ...how, keepError: false }),
    })),
    check: async ({ store, log, run, open }) => {
      await depositTo(log, ["a"]);
      let failures = 0;
      const shaky = await open({}, (real) =>
        override(real, () => ({
          within: (tx) =>
            override(real.within(tx), (port) => ({
              deadLetters: override(port.deadLetters, (letters) => ({
                park: async (...letter) => {
                  failures += 1;
                  if (failures === 1) throw unavailable();
                  return letters.park(...letter);
                },
              })),
            })),
        })),
      );
      const poisoned = observer(poisonedBy(sight().handle, 1), { failure: { attempts: 1, then: "park" } });
      await fulfils(run(poisoned, {}, shaky), "The letter is written a moment later");
      assert.deepEqual([failures, await store.deadLetters.count(ORDERS)], [2, 1]);
      const [segment] = (await store.consumers.get(ORDERS))?.segments ?? [];
      assert.ok(segment?.error !== undefined, "The error is not recorded any more.");
    },
  },
  {
    name: "observer/poison/neighbours",
    promise: "An event that an observer skips holds up neither its aggregate nor any other, and is behind it for good.",
    tooth: observesAs("stops under every policy", ({ failure }) => ({ failure: { ...failure, then: "stop" } })),
    check: async ({ store, log, run }) => {
      await depositTo(log, ["a", "b", "a", "b"]);
      const { seen, handle } = sight();
      const result = await run(observer(poisonedBy(handle, 1), { failure: { attempts: 2, then: "skip" } }));
      assert.deepEqual([result.kind, handledBy(result), sorted(seen)], ["caught-up", 3, [2, 3, 4]]);
      assert.equal(await store.consumers.checkpoint(ORDERS), await log.head());
      assert.equal(handledBy(await run(observer(handle))), 0);
    },
  },
  {
    name: "observer/poison/stop",
    promise:
      "An observer that stops at an event stays before it, and repeats nothing of what was done beside and behind it.",
    tooth: observesAs("skips under every policy", ({ failure }) => ({ failure: { ...failure, then: "skip" } })),
    check: async ({ store, log, run, open }) => {
      const positions = await depositTo(log, ["a", "b", "c", "b", "d"]);
      const recorded = new Set<Position>();
      const told = await open({}, (real) =>
        telling(real, (done) => done.forEach((position) => recorded.add(position))),
      );
      const { seen, handle } = sight();
      const error = new Error("poison");
      const stopping = gate();
      let attempts = 0;
      const poisoned = async (event: Deposit, context: HandlerContext): Promise<void> => {
        // Finishes when the observer has stopped.
        if (isAmount(event, 5)) await stopping.passed.then(() => turn());
        if (!isAmount(event, 2)) return void handle(event, context);
        await eventually("What is done behind it is recorded", () => recorded.has(at(positions, 2)));
        attempts += 1;
        if (attempts === 3) stopping.open();
        throw error;
      };
      const result = await run(observer(poisoned, { failure: { attempts: 3, then: "stop" } }), {}, told);
      assert.equal(result.kind, "stopped");
      assert.equal(result.error, error, "The error is that of the handler.");
      assert.deepEqual([handledBy(result), sorted(seen), result.position], [3, [1, 3, 5], at(positions, 0)]);
      const { error: state } = at((await store.consumers.get(ORDERS))?.segments ?? [], 0);
      assert.equal(state?.count, 3, "Each failure since the last success is counted once.");
      assert.match(state?.text ?? "", /poison/);
      await run(observer(handle));
      assert.deepEqual(seen.slice(3), [2, 4], "Next time it goes on with the event, and repeats nothing.");
      assert.equal((await store.consumers.get(ORDERS))?.segments[0]?.error, undefined, "The next success clears it.");
    },
  },
  {
    name: "observer/poison/park",
    promise:
      "Behind an event that an observer has parked the later ones of its aggregate wait; other aggregates go on.",
    tooth: observesAs("skips what it should park", ({ failure }) => ({ failure: { ...failure, then: "skip" } })),
    check: async ({ store, log, run }) => {
      const positions = await depositTo(log, ["a", "b", "a", "b", "a"]);
      const { seen, handle } = sight();
      // One at a time, so that letters are written while later events of the aggregate wait in their lane.
      const once = { failure: { attempts: 1, then: "park" }, concurrency: 1 } as const;
      await run(observer(poisonedBy(handle, 1), once), { fetchSize: 2 });
      assert.deepEqual(sorted(seen), [2, 4]);
      await depositTo(log, ["a", "b"], 6);
      await run(observer(handle, once));
      assert.deepEqual(sorted(seen), [2, 4, 7], "So it is in the next cycle.");
      const letters = await collect(store.deadLetters.list(ORDERS));
      assert.deepEqual(
        letters.map(({ event, cause }) => [event.data, cause?.message]),
        [1, 3, 5, 6].map((amount) => [{ amount }, amount === 1 ? "poison" : undefined]),
      );
      assert.equal(letters[0]?.event.position, at(positions, 0));
      assert.equal(await store.consumers.checkpoint(ORDERS), await log.head());
    },
  },
  {
    name: "observer/poison/park/too-many",
    promise:
      "An observer that may not park as many events as have failed at its end repeats nothing that was done beside them.",
    tooth: forgetsCompletions,
    check: async ({ store, log, run }) => {
      await depositTo(log, ["a", "b", "c"]);
      const held = hold(1, 2, 3);
      const failing = async (event: Deposit, context: HandlerContext): Promise<void> => {
        await held.handle(event, context);
        if (event.data.amount < 3) throw new Error("poison");
      };
      const failure = { attempts: 1, then: "park", maxParked: 1 } as const;
      const waits = gate();
      const source = override<EventSource>(log, (real) => ({
        wait: (...args) => {
          waits.open();
          return real.wait(...args);
        },
      }));
      const stop = new AbortController();
      const options = { log: source, signal: stop.signal };
      const cycle = later(run(observer(failing, { failure, concurrency: 3 }), options));
      await Promise.all([1, 2, 3].map((amount) => held.begins(amount)));
      // All are done after it was told to end, and while it records nothing: its last record has to tell of them.
      await promptly("It waits for its handlers", waits.passed);
      stop.abort();
      held.letGo();
      const result = await cycle;
      assert.equal(result.kind, "stopped");
      assert.ok(isTidemarkError(result.error, "DEAD_LETTERS_FULL"), "The error says why.");
      assert.equal(await store.deadLetters.count(ORDERS), 0);
      const { seen, handle } = sight();
      await run(observer(handle));
      assert.deepEqual(sorted(seen), [1, 2]);
    },
  },
  {
    name: "observer/poison/park/durable",
    promise: "The dead letter of an observer is there no later than the first checkpoint that passes its event.",
    tooth: parksAfterwards,
    check: async ({ log, run, open }) => {
      const positions = await depositTo(log, ["a", "b"]);
      // Looks, after each commit of the observer, at what anyone can see.
      const seen: { readonly passed: boolean; readonly letters: number }[] = [];
      const looking = await open({}, (real) =>
        override(real, () => ({
          transaction: async (work, op) => {
            const result = await real.transaction(work, op);
            const key = { name: ORDERS, version: 1 };
            const { position } = at((await real.consumers.get(key, op))?.segments ?? [], 0);
            const passed = position !== undefined && position >= at(positions, 0);
            seen.push({ passed, letters: await real.deadLetters.count(key, op) });
            return result;
          },
        })),
      );
      const { handle } = sight();
      await run(observer(poisonedBy(handle, 1), { failure: { attempts: 1, then: "park" } }), {}, looking);
      assert.ok(
        seen.some(({ passed }) => passed),
        "The checkpoint passes the event.",
      );
      for (const { passed, letters } of seen)
        assert.ok(!passed || letters === 1, "No checkpoint passes it without a letter.");
    },
  },
  {
    name: "observer/observe",
    promise: "Whoever observes observers is told once of each event, with consumer, duration and outcome.",
    tooth: consumesObservers("tells of an event when it is begun and when it is done", (store, consumer, options) => {
      const observe = (observation: Observation): void => {
        options.observe?.(observation);
        options.observe?.(observation);
      };
      return consume(store, consumer, { ...options, observe });
    }),
    check: async ({ log, run }) => {
      await depositTo(log, ["a", "a", "b", "c"]);
      const { handle } = sight();
      const told: Observation[] = [];
      const failure = { attempts: 2, then: "park" } as const;
      await run(observer(poisonedBy(handle, 1), { failure }), {
        observe: (observation) => void told.push(observation),
      });
      const outcomes = told.map(({ event, outcome, kind, consumer }) => [
        event.version,
        event.aggregate.id,
        outcome,
        kind,
        consumer.name,
      ]);
      assert.deepEqual(
        outcomes.toSorted((one, other) => String(one).localeCompare(String(other))),
        [
          [1, "a", "parked", "observer", ORDERS],
          [1, "b", "handled", "observer", ORDERS],
          [1, "c", "handled", "observer", ORDERS],
          [2, "a", "waits", "observer", ORDERS],
        ],
      );
      assert.ok(
        told.every(({ durationMs }) => durationMs >= 0),
        "Durations are not negative.",
      );
    },
  },
  {
    name: "observer/replay",
    promise:
      "A parked event that is asked to be retried is handled by the next cycle, then what waits behind it, in order.",
    tooth: {
      lie: "leaves what waits behind a retried event where it is",
      adapter: (real) =>
        override(real, () => ({
          within: (tx) =>
            override(real.within(tx), (port) => ({
              deadLetters: override(port.deadLetters, () => ({ requestWaiting: async () => undefined })),
            })),
        })),
    },
    check: async ({ store, log, run }) => {
      const positions = await depositTo(log, ["a", "b", "a", "a"]);
      const { seen, handle } = sight();
      await run(observer(poisonedBy(handle, 1), { failure: { attempts: 1, then: "park" } }));
      assert.deepEqual(seen, [2]);
      assert.equal(await store.deadLetters.retry(ORDERS, at(positions, 0)), 1);
      await depositTo(log, ["a"], 5);
      const result = await run(observer(handle));
      assert.deepEqual([result.kind, seen], ["caught-up", [2, 1, 3, 4, 5]]);
      assert.equal(await store.deadLetters.count(ORDERS), 0);
    },
  },
  {
    name: "observer/claim/before-run",
    promise: "With claims an event is claimed before its handler runs, and completed after it.",
    tooth: observesAs("claims nothing", () => ({ dedupe: "none" })),
    check: async ({ log, run, open }) => {
      await depositTo(log, ["a"]);
      const steps: string[] = [];
      const claiming = await open({}, (real) =>
        changeClaims(real, (claims) => ({
          claim: async (...args) => {
            const outcome = await claims.claim(...args);
            steps.push(outcome);
            return outcome;
          },
          complete: async (...args) => {
            await claims.complete(...args);
            steps.push("completed");
          },
        })),
      );
      await run(
        observer(() => void steps.push("handled"), { dedupe: "claim" }),
        {},
        claiming,
      );
      assert.deepEqual(steps, ["claimed", "handled", "completed"]);
    },
  },
  {
    name: "observer/claim/vanished",
    promise:
      "With claims, what was completed before a crash is not handled again, even where no checkpoint tells of it.",
    tooth: {
      lie: "forgets that a claim was completed",
      adapter: (real) =>
        changeClaims(real, (claims) => ({
          claim: async (consumer, key, claim, op) => {
            const outcome = await claims.claim(consumer, key, claim, op);
            return outcome === "done" ? "claimed" : outcome;
          },
        })),
    },
    check: async (scene) => {
      const { log, run, open } = scene;
      await depositTo(log, ["a", "b", "c"]);
      for (const step of CLAIM_STEPS) {
        const vanish = new AbortController();
        const victim = await open({}, (real) =>
          changeClaims(
            crashingAtClaim(vanishing(real), step, () => {
              vanish.abort();
              throw unavailable();
            }),
            () => ({ release: async () => undefined }),
          ),
        );
        const claiming = { name: step, dedupe: "claim", claimMs: 1, concurrency: 1 } as const;
        await run(
          observer(() => undefined, claiming),
          { leaseMs: 1, signal: vanish.signal },
          victim,
        ).catch(() => undefined);
        assert.ok(vanish.signal.aborted, `It vanished ${step}.`);
        const { seen, handle } = sight();
        await takeOver(scene, observer(handle, claiming));
        assert.deepEqual(seen, step === "after-completion" ? [3] : [2, 3], `Vanished ${step}.`);
      }
    },
  },
  {
    name: "observer/claim/killed",
    promise:
      "Killed between a claim and its completion, an observer handles the event again once the claim has expired.",
    when: { shared: true },
    tooth: observesAs("claims nothing", () => ({ dedupe: "none" })),
    check: async (scene) => {
      const { log, spawn, elsewhere } = scene;
      await depositTo(log, ["a", "b", "c"]);
      for (const step of CLAIM_STEPS) {
        const child = await spawn("observers/claim-and-die", { step, config: elsewhere?.process?.config });
        assert.equal(await child.gone(), "SIGKILL", `The process was killed ${step}.`);
        const { seen, handle } = sight();
        await takeOver(scene, observer(handle, { name: step, dedupe: "claim", concurrency: 1 }));
        assert.deepEqual(seen, step === "after-completion" ? [3] : [2, 3], `Killed ${step}.`);
      }
    },
  },
  {
    name: "observer/claim/busy",
    promise: "An event whose claim still runs is not handled by anyone else, and its late completion counts.",
    tooth: {
      lie: "takes every claim over",
      adapter: (real) =>
        changeClaims(real, (claims) => ({
          claim: async (consumer, key, claim, op) => {
            const outcome = await claims.claim(consumer, key, claim, op);
            return outcome === "busy" ? "claimed" : outcome;
          },
        })),
    },
    check: async (scene) => {
      const { store, log, run, open } = scene;
      const positions = await depositTo(log, ["a", "b"]);
      const victim = await open({}, vanishing);
      const held = hold(1);
      const cycle = later(run(observer(held.handle, { dedupe: "claim" }), { leaseMs: 1 }, victim));
      await Promise.all([held.begins(1), held.finishes(2)]);
      const { seen, handle } = sight();
      const heir = later(takeOver(scene, observer(handle, { dedupe: "claim" })));
      const entered = eventually("Its heir has the zone", async () => {
        const [segment] = (await store.consumers.get(ORDERS))?.segments ?? [];
        return segment?.owner === HEIR;
      });
      await promptly("Its heir enters", Promise.race([entered, heir]));
      assert.equal(await atOnce(heir, 50), undefined, "It waits for the claim.");
      held.letGo();
      await promptly("It goes on when the claim is completed", heir);
      assert.deepEqual(seen, [], "Nothing is handled again.");
      assert.equal(await store.consumers.checkpoint(ORDERS), at(positions, 1));
      await cycle;
    },
  },
  {
    name: "observer/claim/given-back",
    promise:
      "A claim of an event that was not handled after all is given back: rejected, failed, parked or interrupted.",
    tooth: {
      lie: "keeps its claims",
      adapter: (real) => changeClaims(real, () => ({ release: async () => undefined })),
    },
    check: async ({ store, log, run }) => {
      const [position] = await depositTo(log, ["a"]);
      const claiming = { dedupe: "claim", failure: { attempts: 1, then: "stop" } } as const;
      const { seen, handle } = sight();
      const rejecting: Executor = async () => "rejected";
      await promptly("It ends when it is rejected", run(observer(handle, claiming), { executor: rejecting }));
      await promptly("The next one can claim it", run(observer(poisonedBy(handle, 1), claiming)));
      const stop = new AbortController();
      const patient = { ...claiming, failure: { attempts: 2, minDelayMs: 60_000, maxDelayMs: 60_000 } };
      const failing = (): void => {
        stop.abort();
        throw new Error("not yet");
      };
      const interrupted = run(observer(failing, patient), { signal: stop.signal });
      await promptly("It ends between two attempts", interrupted);
      const parking = { ...claiming, failure: { attempts: 1, then: "park" } } as const;
      await promptly("The next one can claim it", run(observer(poisonedBy(handle, 1), parking)));
      await store.deadLetters.retry(ORDERS, position ?? "all");
      await promptly("So can the replay", run(observer(handle, claiming)));
      assert.deepEqual(seen, [1]);
    },
  },
];

/** These say nothing about where the events are. */
const inOwnLog: readonly SceneLaw[] = [
  {
    name: "observer/busy",
    promise: "When the zone of an observer is taken nothing is handled, and the result says so.",
    tooth: consumesObservers("observes without a zone of its own", async (store, consumer, options) => {
      const result = await consume(store, consumer, options);
      if (result.kind !== "busy") return result;
      const { events, next } = await (options.log ?? store).readAll({ scope: consumer.scope });
      for (const event of events) await consumer.handle(event, { live: true, signal: new AbortController().signal });
      return { kind: "caught-up", handled: events.length, position: next };
    }),
    check: async ({ log, run, open }) => {
      await depositTo(log, ["a", "b"]);
      const held = hold(1);
      const cycle = later(run(observer(held.handle)));
      await held.begins(1);
      const { seen, handle } = sight();
      assert.deepEqual(await run(observer(handle), {}, await open()), { kind: "busy" });
      assert.deepEqual(seen, []);
      held.letGo();
      await cycle;
    },
  },
  {
    name: "observer/transient/lasting",
    promise: "When a transient failure lasts, the observer's cycle ends with it, and what is done stays done.",
    tooth: consumesObservers("takes a lasting failure for the end of the log", (store, consumer, options) =>
      consume(store, consumer, options).catch(async () => ({
        kind: "caught-up",
        handled: 0,
        position: await store.head(),
      })),
    ),
    check: async ({ store, log, run }) => {
      const positions = await depositTo(log, ["a", "b", "c"]);
      const { seen, handle } = sight();
      const failing = (event: Deposit, context: HandlerContext): unknown => {
        if (isAmount(event, 2)) throw new TransientError("not today");
        return handle(event, context);
      };
      await refuses("TRANSIENT", run(observer(failing)));
      assert.equal(await store.consumers.checkpoint(ORDERS), at(positions, 0));
      await run(observer(handle));
      assert.deepEqual(seen.slice(2), [2], "Only what was not done is handled next.");
    },
  },
  {
    name: "observer/error-state",
    promise: "Failures of an observer's handlers are recorded with it while it tries again.",
    tooth: {
      lie: "records no errors",
      adapter: (real) => changeRecords(real, () => ({ recordError: async () => undefined })),
    },
    check: async ({ store, log, run }) => {
      await depositTo(log, ["a"]);
      const counts: unknown[] = [];
      const failing = async (): Promise<void> => {
        counts.push((await store.consumers.get(ORDERS))?.segments[0]?.error?.count ?? 0);
        throw new Error("poison");
      };
      await run(observer(failing, { failure: { attempts: 3, then: "skip" } }));
      assert.deepEqual(counts, [0, 1, 2], "What each attempt has found.");
      assert.equal((await store.consumers.get(ORDERS))?.segments[0]?.error?.count, 3);
    },
  },
  {
    name: "observer/handler-appends",
    promise: "A handler of an observer may use the store as any other code does.",
    tooth: {
      lie: "refuses to append while an observer's handler runs",
      store: (real) =>
        override(real, () => ({
          append: async (request, options) => {
            const [busy] = (await real.consumers.get(ORDERS))?.segments ?? [];
            if (busy?.owner !== undefined) {
              throw new TidemarkError("WOULD_DEADLOCK", "This is the lie.", { call: "append" });
            }
            return real.append(request, options);
          },
        })),
    },
    check: async ({ store, log, run }) => {
      await depositTo(log, ["a", "b"]);
      const handle = async (event: Deposit): Promise<void> => {
        const told = { type: "told", data: event.data.amount };
        await store.append({ aggregate: account("told"), events: [told] });
        await store.transaction((_tx, within) => within.append({ aggregate: account("told"), events: [told] }));
      };
      const result = await run(observer(handle, { failure: { attempts: 1, then: "stop" }, concurrency: 1 }));
      assert.equal(result.kind, "caught-up");
      const told = await collect(log.readAggregate(account("told")));
      assert.deepEqual(
        told.map(({ data }) => data),
        [1, 1, 2, 2],
      );
    },
  },
];

export const observerLaws: readonly Law[] = [
  ...inAnyLog.map(withOwnLog),
  ...inOwnLog.map(withOwnLog),
  ...inAnyLog.map(withForeignLog),
];

const HEIR = "heir";

/** Runs an observer as soon as the lease of its victim has run out. */
function takeOver<Tx>(
  { run }: Scene<Tx>,
  heir: Observer,
  options: { readonly maxEvents?: number } = {},
): Promise<ConsumeResult> {
  return eventually("The zone of a victim can be entered", async () => {
    const result = await run(heir, { owner: HEIR, ...options });
    return result.kind !== "busy" && result;
  });
}

/** A handler that fails for one amount, and does what it should for the others. */
function poisonedBy(handle: ReturnType<typeof sight>["handle"], amount: number): typeof handle {
  return (event, context) => {
    if (isAmount(event, amount)) throw new Error("poison");
    return handle(event, context);
  };
}

function handledBy(result: ConsumeResult): number {
  return result.kind === "busy" ? 0 : result.handled;
}

function sorted(amounts: readonly number[]): readonly number[] {
  return amounts.toSorted((a, b) => a - b);
}

/** What the script has said. */
function asTexts(value: unknown): readonly string[] {
  return value as readonly string[];
}

import { type ConsumerState, isTidemarkError, type Position, START, type Store } from "@tidemark/core";
import { declare, enter, ORDERS, threeSteps } from "../consumers.ts";
import { account } from "../events.ts";
import { assert, atOnce, eventually, gate, later, outcome, promptly, refuses } from "../expect.ts";
import { changeRecords } from "../faults.ts";
import { type Law, override, type Tooth } from "../law.ts";
import { passesWhatRuns } from "../lies/observers.ts";
import { unless } from "../lies/zones.ts";
import { at, depositTo, hold, observer, sight, telling } from "../observers.ts";
import { apply, type Deposit, isAmount, projector } from "../projectors.ts";

export const waitForLaws: readonly Law[] = [
  {
    id: "consuming/wait-for/applied",
    promise: "Waiting for a consumer resolves with applied when it has done everything up to the position.",
    tooth: waitsAs("says parked whatever became of the events", async (wait) => {
      await wait();
      return "parked";
    }),
    check: async ({ store, consume }) => {
      const positions = await depositTo(store, ["a", "b", "a"]);
      await declare(store);
      const waiting = later(store.waitFor(ORDERS, at(positions, 1)));
      await consume(store, projector(apply));
      assert.equal(await promptly("It resolves", waiting), "applied");
      for (const position of [START, ...positions]) {
        assert.equal(await store.waitFor(ORDERS, position), "applied", "What is done needs no waiting.");
      }
    },
  },
  {
    id: "consuming/wait-for/never-earlier",
    promise: "Waiting never ends while an event at or below the position is not done, whatever is done behind it.",
    tooth: passesWhatRuns,
    check: async ({ store, open, consume }) => {
      const positions = await depositTo(store, ["a", "b", "c"]);
      const recorded = new Set<Position>();
      const told = await open({}, (real) =>
        telling(real, (done) => done.forEach((position) => recorded.add(position))),
      );
      const held = hold(1);
      const cycle = later(consume(told, observer(held.handle)));
      await eventually("What is done is recorded", () => recorded.has(at(positions, 2)));
      const waits = [told, store].map((waiter) => later(waiter.waitFor(ORDERS, at(positions, 1))));
      assert.equal(await atOnce(Promise.race(waits)), undefined, "The first event is not done.");
      held.letGo();
      assert.deepEqual(await promptly("Both resolve", Promise.all(waits)), ["applied", "applied"]);
      await cycle;
    },
  },
  {
    id: "consuming/wait-for/uncommitted",
    promise: "Waiting does not end on what a projector has handled and not committed.",
    tooth: {
      lie: "counts what is handled and not yet committed",
      store: (real) =>
        override(real, () => ({
          waitFor: async (consumer, position, options) => {
            const state = await real.consumers.get(consumer);
            return state?.segments[0]?.owner === undefined ? real.waitFor(consumer, position, options) : "applied";
          },
        })),
    },
    check: async ({ store, open, consume }) => {
      const [position] = await depositTo(store, ["a"]);
      const [handled, commit] = [gate(), gate()];
      const other = await open();
      const slow = projector(async (event: Deposit, context) => {
        await apply(event, context);
        handled.open();
        await commit.passed;
      });
      const cycle = later(consume(store, slow));
      await handled.passed;
      const waiting = later(other.waitFor(ORDERS, position ?? START));
      assert.equal(await atOnce(waiting, 50), undefined, "It is handled and not committed.");
      commit.open();
      assert.equal(await promptly("It resolves after the commit", waiting), "applied");
      await cycle;
    },
  },
  {
    id: "consuming/wait-for/all-segments",
    promise: "Waiting ends when all segments of a consumer have reached the position, and not before.",
    tooth: looksFor("looks at the segment that is furthest", (state, position) =>
      state.segments.some((segment) => (segment.position ?? START) >= position),
    ),
    check: async ({ store }) => {
      const [first, second, third] = await threeSteps(store);
      await declare(store, ORDERS, { segments: 4 });
      const zones = await Promise.all([0, 1, 2, 3].map((segment) => enter(store, ORDERS, { segment })));
      const waiting = later(store.waitFor(ORDERS, second));
      for (const [index, to] of [third, second, first].entries()) await at(zones, index).commit(() => to);
      assert.equal(await atOnce(waiting, 50), undefined, "One is behind, and one has not begun.");
      await at(zones, 3).commit(() => second);
      assert.equal(await atOnce(waiting, 50), undefined, "One is behind.");
      await at(zones, 2).commit(() => second);
      assert.equal(await promptly("All are there", waiting), "applied");
    },
  },
  {
    id: "consuming/wait-for/parked",
    promise: "Waiting says parked when a dead letter stands at or below the position, and applied where none does.",
    tooth: waitsAs("says applied whatever became of the events", async (wait) => {
      await wait();
      return "applied";
    }),
    check: async ({ store, consume }) => {
      const positions = await depositTo(store, ["a", "b", "b", "c"]);
      await declare(store);
      const waiting = later(store.waitFor(ORDERS, at(positions, 3)));
      await consume(store, parkingProjector(2));
      assert.equal(await promptly("It resolves", waiting), "parked");
      const outcomes = await Promise.all(positions.map((position) => store.waitFor(ORDERS, position)));
      assert.deepEqual(outcomes, ["applied", "parked", "parked", "parked"]);
    },
  },
  {
    id: "consuming/wait-for/aggregate",
    promise: "Waiting for one aggregate says parked only when a dead letter of that aggregate stands in its way.",
    tooth: {
      lie: "takes the letters of all aggregates for those of one",
      store: (real) =>
        override(real, () => ({
          waitFor: (consumer, position, options) =>
            real.waitFor(consumer, position, { ...options, aggregate: undefined }),
        })),
    },
    check: async ({ store, consume }) => {
      const positions = await depositTo(store, ["a", "b", "b", "c"]);
      await consume(store, parkingProjector(2));
      const outcomes = ["a", "b", "c"].map((id) => store.waitFor(ORDERS, at(positions, 3), { aggregate: account(id) }));
      assert.deepEqual(await Promise.all(outcomes), ["applied", "parked", "applied"]);
      const before = store.waitFor(ORDERS, at(positions, 0), { aggregate: account("b") });
      assert.equal(await before, "applied", "The letter stands behind the position.");
    },
  },
  {
    id: "consuming/wait-for/observer-parked",
    promise: "Waiting for an observer says parked as soon as its checkpoint has passed a parked event.",
    tooth: waitsAs("says applied whatever became of the events", async (wait) => {
      await wait();
      return "applied";
    }),
    check: async ({ store, consume }) => {
      const positions = await depositTo(store, ["a", "b"]);
      const failing = (event: Deposit): void => {
        if (isAmount(event, 1)) throw new Error("poison");
      };
      const cycle = later(consume(store, observer(failing, { failure: { attempts: 1, then: "park" } })));
      await eventually("It is declared", async () => (await store.consumers.get(ORDERS))?.kind);
      assert.equal(await promptly("It resolves", store.waitFor(ORDERS, at(positions, 1))), "parked");
      await cycle;
    },
  },
  {
    id: "consuming/wait-for/replayed",
    promise: "What was parked and then handled counts as applied.",
    tooth: {
      lie: "remembers what was parked once",
      store: (real) => {
        let wasParked = false;
        return override(real, () => ({
          waitFor: async (consumer, position, options) => {
            const result = await real.waitFor(consumer, position, options);
            wasParked ||= result === "parked";
            return wasParked ? "parked" : result;
          },
        }));
      },
    },
    check: async ({ store, consume }) => {
      const positions = await depositTo(store, ["a", "a"]);
      await consume(store, parkingProjector(1));
      assert.equal(await store.waitFor(ORDERS, at(positions, 1)), "parked");
      await store.deadLetters.retry(ORDERS, "all");
      await consume(store, projector(apply));
      assert.equal(await store.waitFor(ORDERS, at(positions, 1)), "applied");
    },
  },
  {
    id: "consuming/wait-for/rebuild",
    promise: "Whoever waits for a consumer that was reset waits until it is there again.",
    tooth: {
      lie: "remembers how far a consumer has been",
      store: (real) => {
        const reached = new Map<string, Position>();
        return override(real, () => ({
          waitFor: async (consumer, position, options) => {
            const name = JSON.stringify(consumer);
            if ((reached.get(name) ?? -1n) >= position) return "applied";
            const result = await real.waitFor(consumer, position, options);
            reached.set(name, position);
            return result;
          },
        }));
      },
    },
    check: async ({ store, consume }) => {
      const [position = START] = await depositTo(store, ["a"]);
      const { handle } = sight();
      await consume(store, observer(handle));
      assert.equal(await store.waitFor(ORDERS, position), "applied");
      await store.consumers.reset(ORDERS, "beginning");
      await refuses("WAIT_TIMEOUT", store.waitFor(ORDERS, position, { timeoutMs: 1 }));
      await consume(store, observer(handle));
      assert.equal(await store.waitFor(ORDERS, position), "applied");
    },
  },
  {
    id: "consuming/wait-for/woken",
    promise: "Who waits is woken by the commit of a consumer of the same process, without polling.",
    tooth: looksFor(
      "looks once in a while",
      (state, position) => (state.segments[0]?.position ?? START) >= position,
      60_000,
    ),
    check: async ({ open, consume }) => {
      let looks = 0;
      const store = await open({ poll: { minMs: 60_000, maxMs: 60_000 } }, (real) =>
        changeRecords(real, (records) => ({
          get: async (key, op) => {
            looks += 1;
            return records.get(key, op);
          },
        })),
      );
      const [position = START] = await depositTo(store, ["a"]);
      await declare(store);
      looks = 0;
      const waiting = later(store.waitFor(ORDERS, position));
      await eventually("It has looked", () => looks > 0);
      assert.equal(await atOnce(waiting, 20), undefined, "Nothing is done yet.");
      await consume(store, projector(apply));
      assert.equal(await promptly("It is woken", waiting), "applied");
    },
  },
  {
    id: "consuming/wait-for/other-client",
    promise: "Who waits learns of a commit by another client.",
    tooth: {
      lie: "hears of the consumers of its own process only",
      store: (real) =>
        override(real, () => ({
          waitFor: (consumer, position, options) =>
            unless("WAIT_TIMEOUT", real.waitFor(consumer, position, { ...options, timeoutMs: 1 }), () => NEVER),
        })),
    },
    check: async ({ store, open, consume }) => {
      const [position = START] = await depositTo(store, ["a"]);
      await declare(store);
      const waiting = later(store.waitFor(ORDERS, position));
      assert.equal(await atOnce(waiting, 20), undefined, "Nothing is done yet.");
      await consume(await open(), projector(apply));
      assert.equal(await promptly("It looks again", waiting), "applied");
    },
  },
  {
    id: "consuming/wait-for/timeout",
    promise: "Waiting ends with an error when the position was not reached in time.",
    tooth: {
      lie: "waits for ever",
      store: (real) =>
        override(real, () => ({
          waitFor: (consumer, position, options) => real.waitFor(consumer, position, { ...options, timeoutMs: 60_000 }),
        })),
    },
    check: async ({ store }) => {
      const [position = START] = await depositTo(store, ["a"]);
      await declare(store);
      const waiting = outcome(store.waitFor(ORDERS, position, { timeoutMs: 20 }));
      const error = await promptly("It ends", waiting);
      assert.ok(isTidemarkError(error, "WAIT_TIMEOUT"), `It says so: ${String(error)}.`);
      assert.deepEqual(error.details, { timeoutMs: 20 });
    },
  },
  {
    id: "consuming/wait-for/abort",
    promise: "Waiting ends at once when its signal fires, also when it has fired before.",
    tooth: {
      lie: "ignores the signal",
      store: (real) =>
        override(real, () => ({
          waitFor: (consumer, position, options) => real.waitFor(consumer, position, { ...options, signal: undefined }),
        })),
    },
    check: async ({ store }) => {
      const [position = START] = await depositTo(store, ["a"]);
      await declare(store);
      const stop = new AbortController();
      const waiting = later(store.waitFor(ORDERS, position, { signal: stop.signal }));
      assert.equal(await atOnce(waiting, 20), undefined, "Nothing is done yet.");
      stop.abort();
      await refuses("ABORTED", promptly("It ends", waiting));
      await refuses("ABORTED", promptly("It ends", store.waitFor(ORDERS, position, { signal: stop.signal })));
    },
  },
  {
    id: "consuming/wait-for/closed",
    promise: "Waiting ends when its store is closed.",
    tooth: {
      lie: "goes on waiting when it is closed",
      store: (real) =>
        override(real, () => ({
          waitFor: (consumer, position, options) =>
            unless("CLOSED", real.waitFor(consumer, position, options), () => NEVER),
        })),
    },
    check: async ({ store, open }) => {
      const [position = START] = await depositTo(store, ["a"]);
      await declare(store);
      const closing = await open();
      const waiting = later(closing.waitFor(ORDERS, position));
      assert.equal(await atOnce(waiting, 20), undefined, "Nothing is done yet.");
      await promptly("Closing does not wait for it", closing.close());
      await refuses("CLOSED", promptly("It ends", waiting));
      await refuses("CLOSED", closing.waitFor(ORDERS, position));
    },
  },
  {
    id: "consuming/wait-for/unknown",
    promise: "Waiting for a consumer that nobody has declared is refused.",
    tooth: {
      lie: "takes what nobody consumes for applied",
      store: (real) =>
        override(real, () => ({
          waitFor: (consumer, position, options) =>
            unless<"applied" | "parked">(
              "CONSUMER_UNKNOWN",
              real.waitFor(consumer, position, options),
              async () => "applied",
            ),
        })),
    },
    check: async ({ store }) => {
      await refuses("CONSUMER_UNKNOWN", store.waitFor(ORDERS, START));
      await store.consumers.disable(ORDERS);
      await refuses("CONSUMER_UNKNOWN", store.waitFor(ORDERS, START));
    },
  },
];

const NEVER: Promise<never> = new Promise(() => undefined);

/** A store that makes something else of what the real one answers. */
function waitsAs(
  lie: string,
  change: (wait: () => ReturnType<Store<never>["waitFor"]>) => ReturnType<Store<never>["waitFor"]>,
): Tooth {
  return {
    lie,
    store: (real) =>
      override(real, () => ({
        waitFor: (consumer, position, options) => change(() => real.waitFor(consumer, position, options)),
      })),
  };
}

/** A store that looks at consumers in another way. */
function looksFor(lie: string, isDone: (state: ConsumerState, position: Position) => boolean, pauseMs = 5): Tooth {
  return {
    lie,
    store: (real) =>
      override(real, () => ({
        waitFor: async (consumer, position) => {
          for (;;) {
            const state = await real.consumers.get(consumer);
            if (state !== undefined && isDone(state, position)) return "applied";
            await new Promise((resolve) => setTimeout(resolve, pauseMs).unref());
          }
        },
      })),
  };
}

/** A projector that parks the deposit of one amount. */
function parkingProjector(amount: number): ReturnType<typeof projector<unknown>> {
  return projector<unknown>(
    async (event, context) => {
      await apply(event, context);
      if (isAmount(event, amount)) throw new Error("poison");
    },
    { failure: { attempts: 1, then: "park" } },
  );
}

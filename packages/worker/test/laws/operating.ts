import assert from "node:assert/strict";
import { override } from "@tidemark/conformance";
import { defineObserver, defineProjector, defineSaga, TransientError } from "@tidemark/core";
import { appliedBy, deposit, fill, isCaughtUp, isExactlyOnce, ledger } from "./ledger.ts";
import { seeing, withConsumers } from "./lies.ts";
import { eventually, gate, turn, type WorkerLaw } from "./yard.ts";

interface Deposits {
  readonly deposited: { readonly amount: number };
}

/** What operators and the log itself bring about. */
export const operating: readonly WorkerLaw[] = [
  {
    id: "worker/wake/in-process",
    promise: "An append of the same store wakes its worker at once, however seldom it polls.",
    async check(yard) {
      const consumers = [ledger({ name: "book" })];
      const { worker } = await yard.hire({ consumers, poll: { minMs: 5, maxMs: 60_000 } }, { store: yard.store });
      await eventually("It runs", () => worker.status().consumers[0]?.segments[0]?.held);
      // Until its polls are rare.
      await turn(1_000);
      await yard.store.append(deposit(1));
      await eventually("It is applied", () => isCaughtUp(yard.store, "book"));
    },
    tooth: {
      lie: "looks for itself only",
      store: (real) =>
        override(real, (store) => ({
          wait: async (_after, { signal } = {}) => {
            await new Promise<void>((resolve) => {
              const timer = setTimeout(resolve, 60_000);
              signal?.addEventListener("abort", () => {
                clearTimeout(timer);
                resolve();
              });
            });
            return store.head({ signal });
          },
        })),
    },
  },
  {
    id: "worker/wake/other-process",
    promise: "An append by somebody else is found within a poll.",
    async check(yard) {
      await yard.hire({ consumers: [ledger({ name: "book" })], poll: { minMs: 5, maxMs: 100 } });
      const other = await yard.open();
      for (let amount = 1; amount <= 3; amount++) {
        await turn(150);
        await other.append(deposit(amount));
        await eventually("It is applied", () => isCaughtUp(yard.store, "book"));
      }
    },
    tooth: {
      lie: "waits to be told",
      store: (real) =>
        override(real, (store) => ({
          wait: async (after, options = {}) =>
            store.wait(after, { ...options, poll: { minMs: 60_000, maxMs: 60_000 } }),
        })),
    },
  },
  {
    id: "worker/pause",
    promise: "A consumer that is disabled elsewhere stops within a poll, can be reset, and goes on when it is enabled.",
    async check(yard) {
      await yard.hire({ consumers: [ledger({ name: "book", segments: 2 })] });
      await fill(yard.store, 20);
      await eventually("It has caught up", () => isCaughtUp(yard.store, "book"));
      await yard.store.consumers.disable("book");
      const isFree = async (): Promise<boolean> => {
        const state = await yard.store.consumers.get("book");
        return state?.segments.every(({ owner }) => owner === undefined) ?? false;
      };
      await eventually("Its zones are free", isFree);
      const before = (await appliedBy(yard.store, "book")).length;
      await fill(yard.store, 40, 21);
      await turn(150);
      assert.equal((await appliedBy(yard.store, "book")).length, before, "Nothing is applied meanwhile.");
      await yard.store.consumers.reset("book", "beginning");
      await yard.store.consumers.enable("book");
      await eventually("It goes on", () => isCaughtUp(yard.store, "book"));
      assert.equal((await appliedBy(yard.store, "book")).length, 60, "From the beginning.");
    },
    tooth: {
      lie: "does not see that a consumer is disabled",
      store: (real) => seeing(real, (sight) => ({ ...sight, enabled: true })),
    },
  },
  {
    id: "worker/delete",
    promise: "A consumer that is deleted elsewhere is not run any more, until somebody declares it.",
    async check(yard) {
      const { worker } = await yard.hire({ consumers: [ledger({ name: "book" }), ledger({ name: "other" })] });
      await fill(yard.store, 10);
      await eventually("It has caught up", () => isCaughtUp(yard.store, "book"));
      await yard.store.consumers.delete("book");
      await eventually("It is seen", () => worker.status().consumers[0]?.state === "deleted");
      await fill(yard.store, 20, 11);
      await eventually("The other one goes on", () => isCaughtUp(yard.store, "other"));
      assert.equal(await yard.store.consumers.get("book"), undefined, "It is not there again by itself.");
      await yard.store.consumers.declare("book", { kind: "projector", start: "head" });
      await fill(yard.store, 30, 21);
      await eventually("It runs again", () => isCaughtUp(yard.store, "book"));
      assert.equal((await appliedBy(yard.store, "book")).length, 20);
    },
    tooth: {
      lie: "declares again what it does not find",
      store: (real) =>
        withConsumers(real, (consumers) => ({
          look: async (inputs, options) => {
            await consumers.declare("book", { kind: "projector" });
            return consumers.look(inputs, options);
          },
        })),
    },
  },
  {
    id: "worker/replay",
    promise: "A parked event that somebody asks for is handled again within a poll, while nothing else happens.",
    async check(yard) {
      let isBroken = true;
      const book = ledger<unknown>({
        name: "book",
        segments: 2,
        failure: { attempts: 1, then: "park" },
        before: ({ data }) => {
          if (data.amount === 2 && isBroken) throw new Error("not yet");
        },
      });
      await yard.hire({ consumers: [book] });
      await fill(yard.store, 4);
      await eventually("It has caught up", () => isCaughtUp(yard.store, "book"));
      assert.equal(await yard.store.deadLetters.count("book"), 1, "One event is parked.");
      isBroken = false;
      assert.equal(await yard.store.deadLetters.retry("book", "all"), 1);
      await eventually("It is handled", async () => (await yard.store.deadLetters.count("book")) === 0);
      await isExactlyOnce(yard.store, yard.store, "book");
    },
    tooth: {
      lie: "does not see what is asked for",
      store: (real) => seeing(real, (sight) => ({ ...sight, requested: [] })),
    },
  },
  {
    id: "worker/deadlines",
    promise: "A saga is woken when its deadline is due, although nothing is appended and polls are rare.",
    async check(yard) {
      const reminders = defineSaga<unknown, { readonly account: string }, Deposits>({
        name: "reminders",
        start: "beginning",
        handlers: {
          deposited: {
            association: { property: "account", value: ({ aggregate }) => aggregate.id },
            starts: true,
            handle: ({ aggregate }, _state, { schedule }) => {
              // Later than the cycle ends, which finds what is due by itself.
              schedule("remind", new Date(Date.now() + 1_500));
              return { associations: { account: aggregate.id }, data: { account: aggregate.id } };
            },
          },
        },
        deadlines: {
          remind: (_deadline, state, { append }) => {
            append({
              aggregate: { type: "reminder", id: state?.data.account ?? "?" },
              events: [{ type: "reminded", data: {} }],
            });
            return undefined;
          },
        },
      });
      const { store } = yard;
      await yard.hire({ consumers: [reminders], poll: { minMs: 5, maxMs: 60_000 } }, { store });
      await store.append(deposit(1));
      await eventually(
        "The reminder is there",
        async () => (await store.readAll({ scope: { eventTypes: ["reminded"] } })).events.length === 1,
      );
    },
    tooth: {
      lie: "does not see deadlines",
      store: (real) => seeing(real, (sight) => ({ ...sight, dueInMs: undefined })),
    },
  },
  {
    id: "worker/ring",
    promise:
      "Segments that share the pages at the tail skip nothing and repeat nothing, and a slow one holds up nobody.",
    async check(yard) {
      const proceed = gate();
      const late: number[] = [];
      // Not in a transaction: that would hold up whoever writes, where there is but one writer.
      const slow = defineObserver<Deposits>({
        name: "slow",
        start: "beginning",
        concurrency: 1,
        handlers: {
          deposited: async ({ data }) => {
            if (data.amount === 30) await proceed.passed;
            late.push(data.amount);
          },
        },
      });
      const seen: number[] = [];
      const narrow = defineObserver<Deposits>({
        name: "narrow",
        start: "beginning",
        scope: { aggregateTypes: ["account"] },
        handlers: { deposited: ({ data }) => void seen.push(data.amount) },
      });
      const spoiling = defineProjector<unknown, Deposits>({
        name: "spoiling",
        // What one does to its events is not seen by another.
        handlers: { deposited: ({ data }) => void Object.assign(data, { amount: -1 }) },
      });
      const consumers = [slow, ledger<unknown>({ name: "fast", segments: 4 }), narrow, spoiling];
      // An observer whose lease is lost may repeat.
      await yard.hire({ consumers, ringEvents: 25, fetchSize: 10, leaseMs: 60_000 });
      for (let round = 0; round < 10; round++) {
        await fill(yard.store, (round + 1) * 20, round * 20 + 1);
        await eventually("The fast one has caught up", () => isCaughtUp(yard.store, "fast"));
      }
      assert.equal(await isCaughtUp(yard.store, "slow"), false, "The slow one has not.");
      proceed.open();
      await eventually("The slow one gets there", () => isCaughtUp(yard.store, "slow"));
      await eventually("The observer gets there", () => isCaughtUp(yard.store, "narrow"));
      await isExactlyOnce(yard.store, yard.store, "fast");
      const all = Array.from({ length: 200 }, (_, index) => index + 1);
      assert.deepEqual(
        late.toSorted((a, b) => a - b),
        all,
        "The slow one has seen each once.",
      );
      assert.deepEqual(
        seen.toSorted((a, b) => a - b),
        all,
        "The observer has seen each once, as it was appended.",
      );
    },
    tooth: {
      lie: "goes past the last event of a shared page",
      store: (real) =>
        override(real, (store) => ({
          readAll: async (options = {}) => {
            const page = await store.readAll(options);
            const isShared = options.scope === undefined;
            return isShared && page.events.length > 1 ? { ...page, events: page.events.slice(0, -1) } : page;
          },
        })),
    },
  },
  {
    id: "worker/unreadable",
    promise: "An event that cannot be decoded holds up those only who handle events of its type.",
    async check(yard) {
      const storeOptions = {
        serializer: {
          toJson: (value: unknown) => value,
          fromJson: (json: unknown, { type }: { readonly type: string }) => {
            if (type === "broken") throw new Error("unknown form");
            return json;
          },
        },
      };
      const strict = defineProjector<unknown>({
        name: "strict",
        failure: { attempts: 1, then: "stop" },
        scope: { eventTypes: ["broken"] },
        handle: () => undefined,
      });
      const consumers = [ledger<unknown>({ name: "book", segments: 4 }), strict];
      const { worker } = await yard.hire({ consumers }, { storeOptions });
      for (let amount = 1; amount <= 30; amount++) {
        await yard.store.append(deposit(amount));
        if (amount === 10) {
          await yard.store.append({ aggregate: { type: "odd", id: "1" }, events: [{ type: "broken", data: {} }] });
        }
      }
      await eventually("The others have caught up", () => isCaughtUp(yard.store, "book"));
      await isExactlyOnce(yard.store, yard.store, "book");
      await eventually("That one is stopped", () => worker.status().consumers[1]?.state === "stopped");
    },
    tooth: {
      lie: "has everybody read everything",
      store: (real) =>
        override(real, (store) => ({
          readAll: async ({ scope, ...options } = {}) => {
            const page = await store.readAll({ scope, ...options });
            for (let all = await store.readAll(options); all.next < page.next;) {
              all = await store.readAll({ ...options, after: all.next });
            }
            return page;
          },
        })),
    },
  },
  {
    id: "worker/status/stopped",
    promise: "The status tells a segment that is stopped at an error; it is tried again by itself and then runs.",
    async check(yard) {
      let isBroken = true;
      const book = ledger<unknown>({
        name: "book",
        failure: { attempts: 1, then: "stop" },
        before: () => {
          if (isBroken) throw new Error("out of paper");
        },
      });
      const { worker } = await yard.hire({ consumers: [book, ledger<unknown>({ name: "other" })] });
      await yard.store.append(deposit(1));
      const stopped = await eventually("It is stopped", () => {
        const [consumer] = worker.status().consumers;
        return consumer?.state === "stopped" && consumer.segments[0];
      });
      assert.match(stopped.error ?? "", /out of paper/);
      assert.ok(stopped.retryInMs !== undefined && stopped.retryInMs <= 200, "It says when it tries again.");
      await eventually("The other one runs", () => isCaughtUp(yard.store, "other"));
      await eventually("It is not healthy, and a new process would not help", () => {
        const { healthy, live, ready } = worker.status();
        return !healthy && live && ready;
      });
      isBroken = false;
      await eventually("It goes on by itself", () => isCaughtUp(yard.store, "book"));
      await eventually("It is healthy", () => worker.status().healthy);
      await isExactlyOnce(yard.store, yard.store, "book");
    },
    tooth: {
      lie: "calls everything healthy",
      worker: (real) => override(real, (worker) => ({ status: () => ({ ...worker.status(), healthy: true }) })),
    },
  },
  {
    id: "worker/status/stuck",
    promise:
      "The status tells a segment that has events and does not get on, how far it is behind, and when it goes on.",
    async check(yard) {
      const proceed = gate();
      const book = ledger<unknown>({ name: "book", before: () => proceed.passed });
      const { worker } = await yard.hire({ consumers: [book], stuckMs: 300 });
      await fill(yard.store, 5);
      const stuck = await eventually("It is stuck", () => {
        const [consumer] = worker.status().consumers;
        const [segment] = consumer?.segments ?? [];
        return consumer?.state === "stuck" && (segment?.lag ?? 0n) >= 5n && segment;
      });
      assert.ok((stuck.lag ?? 0n) >= 5n && (stuck.lagSeconds ?? 0) > 0, "It tells its lag.");
      proceed.open();
      await eventually("It runs", () => {
        const [consumer] = worker.status().consumers;
        return consumer?.state === "running" && consumer.segments[0]?.lag === 0n;
      });
    },
    tooth: {
      lie: "calls whatever it holds running",
      worker: (real) =>
        override(real, (worker) => ({
          status: () => {
            const status = worker.status();
            const consumers = status.consumers.map((one) => ({ ...one, state: "running" as const }));
            return { ...status, consumers };
          },
        })),
    },
  },
  {
    id: "worker/lost-connection",
    promise:
      "A worker whose database cannot be reached for a while goes on by itself when it can, and nothing is lost or repeated.",
    when: { server: true },
    async check(yard) {
      const line = await yard.database.line?.();
      if (line === undefined) throw new TypeError("A subject with a server needs the hook `line`.");
      const consumers = [ledger({ name: "book", segments: 4 })];
      const { worker } = await yard.hire({ consumers, leaseMs: 1_000 }, { change: () => line.adapter() });
      await fill(yard.store, 40);
      await eventually("It has caught up", () => isCaughtUp(yard.store, "book"));
      for (let round = 1; round <= 2; round++) {
        const filling = fill(yard.store, 40 + round * 60, 41 + (round - 1) * 60);
        await line.cut();
        await filling;
        // Beyond its leases.
        await turn(1_200);
        assert.equal(worker.status().phase, "running", "It does not give up.");
        await line.mend();
        await eventually("It has caught up again", () => isCaughtUp(yard.store, "book"));
      }
      await eventually("It is ready", () => worker.status().ready && worker.status().healthy);
      await isExactlyOnce(yard.store, yard.store, "book");
    },
    tooth: {
      lie: "gives up when the database does not answer",
      store: (real) => {
        let failure: { readonly error: unknown } | undefined;
        return withConsumers(real, (consumers) => ({
          look: async (inputs, options) => {
            if (failure !== undefined) throw failure.error;
            return consumers.look(inputs, options).catch((error: unknown) => {
              failure = { error };
              throw error;
            });
          },
        }));
      },
    },
  },
  {
    id: "worker/transient",
    promise: "What fails for a transient reason, for however long, is tried again until it succeeds.",
    async check(yard) {
      let failures = 0;
      const book = ledger<unknown>({
        name: "book",
        before: () => {
          failures += 1;
          if (failures <= 9) throw new TransientError("not just now");
        },
      });
      await yard.hire({ consumers: [book] });
      await yard.store.append(deposit(1));
      await eventually("It is applied", () => isCaughtUp(yard.store, "book"));
      await isExactlyOnce(yard.store, yard.store, "book");
    },
    tooth: {
      lie: "parks what is transient",
      options: (real) => ({
        ...real,
        consumers: real.consumers.map((one) =>
          "handler" in one && one.handler.kind === "each"
            ? { ...one, handler: { kind: "each", handle: tolerant(one.handler.handle) } }
            : one,
        ),
      }),
    },
  },
];

function tolerant<Event, Context>(
  handle: (event: Event, context: Context) => unknown,
): (event: Event, context: Context) => Promise<unknown> {
  return async (event, context) => {
    try {
      return await handle(event, context);
    } catch {
      return undefined;
    }
  };
}

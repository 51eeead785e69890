import {
  type AppendRequest,
  defineSaga,
  type Deadline,
  type FencedTransaction,
  isTidemarkError,
  type SagaConsumer,
  type SagaContext,
  type Store,
} from "@tidemark/core";
import { enter, ORDERS, takeOver } from "../consumers.ts";
import { account } from "../events.ts";
import { assert, atOnce, collect, eventually, fulfils, gate, later, refuses } from "../expect.ts";
import { CRASH_STEPS, crashingAt, unavailable, vanishing } from "../faults.ts";
import { type Law, override } from "../law.ts";
import {
  afterwards,
  callsHandlers,
  changeDeadlines,
  changeDue,
  changeFinding,
  changeSagas,
  everySaga,
  findsAs,
  findsNothing,
  followsAs,
  givesSagaContext,
  keepsDeadlines,
  keepsDeadlinesToItself,
  mapsAssociations,
  onlySaysRemoved,
  takesPartAs,
  trustsItsOwnClock,
  updatesAnyVersion,
  wakesAs,
  writesLate,
} from "../lies/sagas.ts";
import { checkpointsAfterwards, commitsWhatFailed } from "../lies/zones.ts";
import {
  closed,
  follow,
  happen,
  inZone,
  type OrderEvent,
  orders,
  paid,
  placed,
  remember,
  row,
  sagaZone,
  type Trail,
  trailOf,
  trails,
  type TrailState,
} from "../sagas.ts";
import { lawsAbout, type Scene, type SceneLaw } from "../scene.ts";
import type { TestDatabase } from "../subject.ts";

const { withOwnLog, withForeignLog } = lawsAbout("sagas");

/** These hold with the events beside the state, and with the events in another log. */
const inAnyLog: readonly SceneLaw[] = [
  {
    name: "starts-at-head",
    promise: "A new saga consumer gets only what happens after its first cycle.",
    tooth: followsAs("starts sagas at the beginning of the log", () => ({ start: "beginning" })),
    check: async ({ store, log, run }) => {
      const fromHead = orders(follow, { start: undefined });
      await happen(log, placed("a"));
      await run(fromHead);
      await happen(log, placed("b"));
      await run(fromHead);
      assert.deepEqual(await trails(store), ["b: placed"]);
    },
  },
  {
    name: "start/only-where-none",
    promise:
      "An event that may start a saga starts one only where it finds none; else it is one more event of that one.",
    tooth: findsNothing,
    check: async ({ store, log, run }) => {
      await happen(log, placed("a"), placed("a", "again"), placed("b"));
      await run(orders());
      await happen(log, placed("b", "again"));
      await run(orders());
      assert.deepEqual(await trails(store), ["a: placed, again", "b: placed, again"]);
    },
  },
  {
    name: "start/not-by-others",
    promise: "An event that may not start a saga and finds none is handled by nobody.",
    tooth: takesPartAs("starts a saga by every event", (handling) => ({ ...handling, starts: true })),
    check: async ({ store, log, run }) => {
      await happen(log, paid("a"), closed("a"));
      let calls = 0;
      const { kind } = await run(orders((event, state) => ((calls += 1), follow(event, state))));
      assert.deepEqual([kind, calls], ["caught-up", 0]);
      assert.deepEqual(await trails(store), []);
    },
  },
  {
    name: "start/without-value",
    promise: "An event whose association has no value concerns no saga, and the consumer goes on behind it.",
    tooth: takesPartAs("looks for a saga by the value undefined", (handling) => {
      const { property, value } = handling.association;
      return { ...handling, association: { property, value: (event) => String(value(event)) } };
    }),
    check: async ({ store, log, run }) => {
      await happen(log, placed(null), placed("a"));
      const result = await run(orders());
      assert.deepEqual([result.kind, await trails(store)], ["caught-up", ["a: placed"]]);
      assert.equal(await store.consumers.checkpoint(ORDERS), await log.head());
    },
  },
  {
    name: "start/id",
    promise: "A handler learns the id of its saga, the same from its first event on.",
    tooth: givesSagaContext("gives every handler call another id", (context) => ({
      ...context,
      sagaId: `${context.sagaId}?`,
    })),
    check: async ({ store, log, run }) => {
      const seen: string[] = [];
      const handle = (
        event: OrderEvent,
        state: TrailState | undefined,
        { sagaId }: SagaContext<unknown>,
      ): TrailState => {
        seen.push(sagaId);
        return follow(event, state);
      };
      await happen(log, placed("a"), paid("a"));
      await run(orders(handle));
      const [saga] = await store.sagas.find(ORDERS, "order", "a");
      assert.deepEqual(seen, [saga?.id, saga?.id]);
    },
  },
  {
    name: "state/handed-on",
    promise: "A handler gets the state that its last call returned, whatever JSON it holds.",
    tooth: {
      lie: "keeps nothing behind a NUL of a state",
      adapter: (real) =>
        changeSagas(real, (port) => ({
          insert: (saga, given, op) => port.insert(saga, { ...given, data: given.data.replaceAll("\\u0000", "") }, op),
        })),
    },
    check: async ({ log, run }) => {
      const data = {
        "a.b": [null, true, -1.5, "\u0000", "\ud800", "👩‍🚀", { "": {} }],
        __proto: "x",
        big: "y".repeat(100_000),
      };
      const seen: unknown[] = [];
      const handling = {
        association: { property: "order", value: () => "a" },
        starts: true,
        handle: (_event: unknown, state: unknown) => {
          seen.push(state);
          return { associations: { order: "a" }, data };
        },
      };
      await happen(log, placed("a"), placed("a"));
      await run(defineSaga({ name: ORDERS, start: "beginning", handlers: { placed: handling } }));
      assert.deepEqual(seen, [undefined, { associations: { order: "a" }, data }]);
    },
  },
  {
    name: "state/unchanged",
    promise: "A handler that returns nothing changes nothing, whatever it does to the state that it was given.",
    tooth: callsHandlers("takes what the handler made of its argument", (handle) => async (event, state, context) => {
      const after = await handle(event, state, context);
      return after ?? state;
    }),
    check: async ({ store, log, run }) => {
      await happen(log, placed("a"));
      await run(orders());
      const before = await collect(store.sagas.list(ORDERS));
      const careless = orders((_event, state) => {
        if (state === undefined) return;
        // Frozen or not, all the same.
        Reflect.set(state.data, "steps", ["spoilt"]);
        Reflect.set(state.associations, "order", "spoilt");
      });
      await happen(log, paid("a"), placed("b"));
      const { kind } = await run(careless);
      assert.equal(kind, "caught-up");
      assert.deepEqual(await collect(store.sagas.list(ORDERS)), before);
    },
  },
  {
    name: "own-writes",
    promise: "An event finds the sagas that the events before it in the same batch have started and changed.",
    tooth: {
      lie: "does not find what its own transaction has written",
      adapter: (real) =>
        changeSagas(real, (port) => {
          const own = new Set<string>();
          return {
            insert: (saga, given, op) => (own.add(given.id), port.insert(saga, given, op)),
            find: async (saga, association, op) =>
              (await port.find(saga, association, op)).filter(({ id }) => !own.has(id)),
          };
        }),
    },
    check: async ({ store, log, run }) => {
      await happen(log, placed("a"), placed("b"), paid("a"), closed("b"), placed("b", "anew"), paid("a", "again"));
      await run(orders());
      assert.deepEqual(await trails(store), ["a: placed, paid, again", "b: anew"]);
    },
  },
  {
    name: "order",
    promise: "A saga gets its events in the order of the log, of whichever aggregates they are.",
    tooth: {
      lie: "hands pages out backwards",
      adapter: (real) =>
        override(real, () => ({
          readAll: async (query, op) => {
            const page = await real.readAll(query, op);
            return { ...page, events: page.events.toReversed() };
          },
        })),
    },
    check: async ({ store, log, run }) => {
      for (const [id, step] of ["x1", "y2", "x3", "z4", "y5", "x6"].entries()) {
        await log.append({ aggregate: account(`aggregate ${id % 3}`), events: [placed("a", step)] });
      }
      await run(orders(), { fetchSize: 4 });
      assert.deepEqual(await trails(store), ["a: x1, y2, x3, z4, y5, x6"]);
    },
  },
  {
    name: "several-sagas",
    promise: "Every saga that an event finds gets it, in the order of their ids.",
    tooth: findsAs("finds only the first saga", async (reader, saga, association, op) =>
      (await reader.find(saga, association, op)).slice(0, 1),
    ),
    check: async ({ store, log, run }) => {
      const zone = await declared(store, log);
      const trail: Trail = { steps: ["begun"] };
      for (const id of ["b", "é", "B", "a"])
        await inZone(zone, ({ sagas }) => sagas.insert(ORDERS, row(id, { order: "one" }, trail)));
      await inZone(zone, ({ sagas }) => sagas.insert(ORDERS, row("other", { order: "two" }, trail)));
      await zone.leave();
      const seen: string[] = [];
      await happen(log, paid("one"));
      await run(
        orders((event, state, { sagaId }) => {
          seen.push(sagaId);
          return follow(event, state);
        }),
      );
      assert.deepEqual(seen, ["B", "a", "b", "é"]);
      const one = "one: begun, paid";
      assert.deepEqual(await trails(store), [one, one, one, one, "two: begun"]);
    },
  },
  {
    name: "change-association",
    promise: "Once a handler has changed an association, events find the saga by the new one and not by the old one.",
    tooth: {
      lie: "keeps the associations that a saga had before",
      adapter: (real) => {
        const before = new Map<string, readonly { readonly property: string; readonly value: string }[]>();
        const keeping = changeSagas(real, (port) => ({
          insert: (saga, given, op) => (before.set(given.id, given.associations), port.insert(saga, given, op)),
        }));
        return changeFinding(keeping, (reader) => ({
          find: async (saga, { property, value }, op) => {
            const matches = await reader.find(saga, { property, value }, op);
            const old = (await everySaga(reader, saga, op)).filter(({ id }) =>
              before.get(id)?.some((association) => association.property === property && association.value === value),
            );
            return [...matches, ...old.filter(({ id }) => matches.every((match) => match.id !== id))];
          },
        }));
      },
    },
    check: async ({ store, log, run }) => {
      const renaming = orders((event, state) =>
        event.data.step === "rename" ? remember("renamed", state, { order: "new" }) : follow(event, state),
      );
      await happen(log, placed("old"), paid("old", "rename"), paid("old", "too late"), paid("new", "found"));
      await run(renaming);
      assert.deepEqual(await trails(store), ["new: placed, renamed, found"]);
      assert.deepEqual(await store.sagas.find(ORDERS, "order", "old"), []);
    },
  },
  {
    name: "end",
    promise: "An ended saga is gone: nothing finds it, and an event that may start one starts another.",
    tooth: onlySaysRemoved,
    check: async ({ store, log, run }) => {
      await happen(log, placed("a"), placed("b"));
      await run(orders());
      const [first] = await store.sagas.find(ORDERS, "order", "a");
      assert.ok(first !== undefined);
      await happen(log, closed("a"));
      await run(orders());
      assert.equal(await store.sagas.get(ORDERS, first.id), undefined);
      assert.deepEqual(await store.sagas.find(ORDERS, "order", "a"), []);
      assert.deepEqual(await trails(store), ["b: placed"]);
      await happen(log, placed("a", "anew"));
      await run(orders());
      const [second] = await store.sagas.find(ORDERS, "order", "a");
      assert.notEqual(second?.id, first.id);
      assert.deepEqual(await trails(store), ["a: anew", "b: placed"]);
    },
  },
  {
    name: "starts-and-ends-at-once",
    promise: "A saga that ends with the event that started it leaves nothing, not even its deadlines.",
    tooth: callsHandlers("keeps a saga that ends as it starts", (handle) => async (event, state, context) => {
      const after = await handle(event, state, context);
      return after === undefined ? undefined : { ...after, ended: false };
    }),
    check: async ({ store, log, run }) => {
      await happen(log, placed("a"));
      const brief = orders(
        (event, state, context) => {
          context.schedule("reminder", new Date(0));
          return { ...follow(event, state), ended: true };
        },
        { deadlines: { reminder: () => undefined } },
      );
      const result = await run(brief, { maxEvents: 1 });
      assert.equal(result.kind, "limit", "The event counts as handled.");
      assert.deepEqual(await collect(store.sagas.list(ORDERS)), []);
      assert.deepEqual(await store.deadlines.due(ORDERS, 10), []);
    },
  },
  {
    name: "version/changed-meanwhile",
    promise:
      "A consumer whose saga somebody changed since it was read is told, commits nothing of it, and can try again.",
    tooth: updatesAnyVersion,
    check: async ({ store, log, run, open }) => {
      await happen(log, placed("a"));
      await run(orders());
      await happen(log, paid("a"));
      let changes = 1;
      const contested = await open({}, (real) =>
        changeSagas(real, (port) => ({
          update: async (saga, given, op) => {
            changes -= 1;
            if (changes >= 0) await port.update(saga, given, op);
            return port.update(saga, given, op);
          },
        })),
      );
      const result = await run(orders(follow, { failure: { attempts: 1 } }), {}, contested);
      assert.ok(
        result.kind === "stopped" && isTidemarkError(result.error, "SAGA_CONFLICT"),
        `It is told: ${result.kind}.`,
      );
      assert.deepEqual(await trails(store), ["a: placed"]);
      await run(orders(), {}, contested);
      assert.deepEqual(await trails(store), ["a: placed, paid"]);
    },
  },
  {
    name: "version/two-consumers",
    promise: "Two consumers that change the same sagas at once lose nothing of each other's changes.",
    tooth: {
      lie: "finds sagas as it found them before",
      adapter: (real) => {
        const answers = new Map<string, Awaited<ReturnType<typeof real.sagas.find>>>();
        return changeFinding(real, (reader) => ({
          find: async (saga, { property, value }, op) => {
            const question = JSON.stringify([saga, property, value]);
            const answer = answers.get(question) ?? (await reader.find(saga, { property, value }, op));
            if (answer.length > 0) answers.set(question, answer);
            return answer;
          },
        }));
      },
    },
    check: async ({ store, log, run, open }) => {
      const other = await open();
      await happen(log, placed("a"), paid("a"), paid("a"));
      const first = orders(follow, { name: "first", saga: ORDERS });
      await run(first, { maxEvents: 1 });
      const [reading, done] = [gate(), gate()];
      const slow = orders<unknown>(
        async (event, state) => {
          reading.open();
          await done.passed;
          return follow(event, state);
        },
        { name: "first", saga: ORDERS },
      );
      const slowCycle = run(slow);
      await Promise.race([reading.passed, slowCycle]);
      // Where the transaction of the slow one keeps writers out, the other one follows after it.
      const quickCycle = later(run(orders(follow, { name: "second", saga: ORDERS }), {}, other));
      await atOnce(quickCycle);
      done.open();
      assert.deepEqual([(await slowCycle).kind, (await quickCycle).kind], ["caught-up", "caught-up"]);
      const [saga] = await store.sagas.find(ORDERS, "order", "a");
      assert.ok(saga !== undefined);
      assert.deepEqual((saga.data as Trail).steps.toSorted(), ["paid", "paid", "paid", "paid", "placed", "placed"]);
      assert.equal(saga.version, 6, "Each change has raised the version.");
    },
  },
  {
    name: "atomic/together",
    promise: "State, events that the handler appends, its effects and the checkpoint are committed together.",
    tooth: afterwards("writes sagas in a transaction after that of the checkpoint", "sagas"),
    check: async <Tx>({ store, log, run, database, open }: Scene<Tx>) => {
      await happen(log, placed("a"));
      const { positions } = await happen(log, placed("b"));
      // Whoever looks right after the commit finds everything.
      const seen: unknown[] = [];
      const look = async (): Promise<void> => {
        const [saga] = await store.sagas.find(ORDERS, "order", "b");
        if (saga === undefined && (await store.consumers.checkpoint(ORDERS)) === undefined) return;
        seen.push(
          saga && trailOf(saga),
          await database.effects.read("b"),
          await steps(store),
          await store.consumers.checkpoint(ORDERS),
        );
      };
      const looking = await open({}, (real) =>
        override(real, () => ({
          transaction: async (work, op) => {
            const result = await real.transaction(work, op);
            if (seen.length === 0) await look();
            return result;
          },
        })),
      );
      await run(orders(everything(database)), { fetchSize: 2 }, looking);
      assert.deepEqual(seen, ["b: placed", "placed", ["placed", "placed"], positions[0]]);
    },
  },
  {
    name: "atomic/failed",
    promise:
      "Nothing that the handler of a failed event did is there, and its neighbours' sagas are as if it were not.",
    tooth: commitsWhatFailed,
    check: async <Tx>({ store, log, run, database }: Scene<Tx>) => {
      await happen(log, placed("a"), paid("a", "one"), paid("a", "poison"), paid("a", "two"), placed("b"));
      const handle = everything(database);
      const poisoned = orders<Tx>(
        async (event, state, context) => {
          const after = await handle(event, state, context);
          if (event.data.step === "poison") throw new Error("poison");
          return after;
        },
        { failure: { attempts: 2, then: "skip" } },
      );
      const result = await run(poisoned);
      assert.equal(result.kind, "caught-up");
      assert.deepEqual(await trails(store), ["a: placed, one, two", "b: placed"]);
      assert.deepEqual(await steps(store), ["placed", "one", "two", "placed"]);
      assert.equal(await database.effects.read("a"), "two");
    },
  },
  {
    name: "atomic/refused-append",
    promise: "When an event that a handler appends is refused, its saga stays as it was.",
    tooth: commitsWhatFailed,
    check: async ({ store, log, run }) => {
      await happen(log, placed("a"), paid("a", "refused"), placed("b"));
      const refused = orders(
        (event, state, { append }) => {
          append({ ...reaction(event), expected: event.data.step === "refused" ? "none" : "any" });
          return follow(event, state);
        },
        { failure: { attempts: 2, then: "skip" } },
      );
      await run(refused);
      assert.deepEqual(await trails(store), ["a: placed", "b: placed"]);
      assert.deepEqual(await steps(store), ["placed", "placed"]);
    },
  },
  {
    name: "atomic/state-refused",
    promise: "A state that JSON cannot hold fails its event, and nothing of it is written.",
    tooth: callsHandlers("keeps what JSON can hold of a state", (handle) => async (event, state, context) => {
      const after = await handle(event, state, context);
      if (after === undefined) return undefined;
      const text = JSON.stringify(after, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value));
      return JSON.parse(text) as typeof after;
    }),
    check: async ({ store, log, run }) => {
      await happen(log, placed("a"));
      const handling = {
        association: { property: "order", value: () => "a" },
        starts: true,
        handle: () => ({ associations: { order: "a" }, data: { amount: 1n } }),
      };
      const result = await run(
        defineSaga({ name: ORDERS, start: "beginning", failure: { attempts: 1 }, handlers: { placed: handling } }),
      );
      assert.ok(result.kind === "stopped" && isTidemarkError(result.error, "INVALID_EVENT"), "The error tells why.");
      assert.deepEqual(await collect(store.sagas.list(ORDERS)), []);
      assert.equal(await store.consumers.checkpoint(ORDERS), undefined);
    },
  },
  {
    name: "resume",
    promise:
      "Wherever a saga's process is killed, every event has changed its saga and appended its events exactly once in the end.",
    when: { shared: true },
    tooth: checkpointsAfterwards,
    check: async ({ store, log, run, spawn, elsewhere }) => {
      await happen(log, ...sixSteps());
      for (const step of CRASH_STEPS) {
        const child = await spawn("sagas/die", { step, config: elsewhere?.process?.config });
        assert.equal(await child.gone(), "SIGKILL", `The process was killed ${step}.`);
        await assertResumes({ store, run }, step);
      }
    },
  },
  {
    name: "resume/vanished",
    promise:
      "Wherever a saga's holder vanishes, every event has changed its saga and appended its events exactly once in the end.",
    tooth: afterwards("writes sagas in a transaction after that of the checkpoint", "sagas"),
    check: async ({ store, log, run, open }) => {
      await happen(log, ...sixSteps());
      for (const step of CRASH_STEPS) {
        const vanish = new AbortController();
        let armed = false;
        const crash = (): void => {
          if (!armed) return;
          vanish.abort();
          throw unavailable();
        };
        const victim = await open({}, (real) => crashingAt(vanishing(real), step, crash));
        const handle = (
          event: OrderEvent,
          state: TrailState | undefined,
          context: SagaContext<unknown>,
        ): TrailState => {
          armed ||= event.data.step === "4";
          if (step === "before-handler") crash();
          context.append(reaction(event, step));
          if (step === "after-effect") crash();
          return follow(event, state);
        };
        // One event at a time, so that only the crash is between a lie and the truth.
        await run(orders(handle, { name: step }), { fetchSize: 1, leaseMs: 1, signal: vanish.signal }, victim);
        assert.ok(vanish.signal.aborted, `It vanished ${step}.`);
        await assertResumes({ store, run }, step);
      }
    },
  },
  {
    name: "policy/stop",
    promise: "By default a saga consumer stops before an event that it cannot handle, and goes on there next time.",
    tooth: followsAs("skips what it cannot handle", ({ failure }) => ({ failure: { ...failure, then: "skip" } })),
    check: async ({ store, log, run }) => {
      const { positions } = await happen(log, placed("a"), paid("a", "poison"), paid("a"));
      const error = new Error("poison");
      const poisoned = orders((event, state) => {
        if (event.data.step === "poison") throw error;
        return follow(event, state);
      });
      const result = await run(poisoned);
      assert.ok(result.kind === "stopped", `It stopped: ${result.kind}.`);
      assert.deepEqual([result.error, result.handled, result.position], [error, 1, positions[0]]);
      assert.deepEqual(await trails(store), ["a: placed"]);
      await run(orders());
      assert.deepEqual(await trails(store), ["a: placed, poison, paid"]);
    },
  },
  {
    name: "free/finds",
    promise:
      "A saga with one handler for all finds its saga itself; what it returns becomes the state of that one, or of a new one.",
    tooth: findsNothing,
    check: async ({ store, log, run }) => {
      await happen(log, placed("a"), paid("a"), placed("b"), closed("b"), placed("c"));
      await run(freeOrders());
      await happen(log, paid("a", "again"), paid("unknown"));
      await run(freeOrders());
      assert.deepEqual(await trails(store), ["a: placed, paid, again", "c: placed"]);
    },
  },
  {
    name: "free/found",
    promise: "What a handler finds has the id, the version and the state of the first saga by id, or nothing of each.",
    tooth: findsAs("finds the last saga first", async (reader, saga, association, op) =>
      (await reader.find(saga, association, op)).toReversed(),
    ),
    check: async ({ store, log, run }) => {
      const zone = await declared(store, log);
      for (const id of ["b", "a"]) await inZone(zone, ({ sagas }) => sagas.insert(ORDERS, row(id, { order: "x" }, id)));
      await zone.leave();
      const found: unknown[] = [];
      const looking = defineSaga({
        name: ORDERS,
        start: "beginning",
        handle: async (_event, find) => {
          found.push(await find("order", "y"), await find("order", "x"));
        },
      });
      await happen(log, placed("x"));
      await run(looking);
      assert.deepEqual(found, [
        { id: undefined, version: undefined, state: undefined },
        { id: "a", version: 1, state: { associations: { order: "x" }, data: "a" } },
      ]);
    },
  },
  {
    name: "deadlines/delivered",
    promise: "A deadline that is due is delivered to its saga, once, with its name, moment and data.",
    tooth: {
      lie: "delivers a deadline a second time",
      adapter: (real) => {
        const kept = new Set<string>();
        return changeDeadlines(real, (port) => ({
          remove: async (saga, id, name, op) => {
            if (kept.has(id)) return port.remove(saga, id, name, op);
            kept.add(id);
            return true;
          },
        }));
      },
    },
    check: async ({ store, log, run }) => {
      const seen: Deadline[] = [];
      const data = { "a.b": [1, null, "\u0000"] };
      const reminded = orders(
        (event, state, { schedule }) => {
          if (event.type === "placed") schedule("reminder", new Date(5), data);
          return follow(event, state);
        },
        {
          deadlines: {
            reminder: (deadline, state) => {
              seen.push(deadline);
              return remember("reminded", state);
            },
          },
        },
      );
      await happen(log, placed("a"));
      await run(reminded);
      await happen(log, paid("a"));
      await run(reminded);
      const [saga] = await store.sagas.find(ORDERS, "order", "a");
      assert.deepEqual(seen, [{ sagaId: saga?.id, name: "reminder", dueAt: new Date(5), data }]);
      assert.deepEqual(await trails(store), ["a: placed, reminded, paid"]);
    },
  },
  {
    name: "deadlines/when-due",
    promise: "A deadline in the future is delivered once its moment has come, and not before.",
    tooth: {
      lie: "takes every deadline for due",
      adapter: (real) =>
        changeDeadlines(real, (port) => ({ set: (saga, given, op) => port.set(saga, { ...given, dueAt: 0 }, op) })),
    },
    check: async ({ store, log, run }) => {
      const soon = new Date(Date.now() + 200);
      const reminded = remindedAt((order) => (order === "soon" ? soon : new Date(Date.now() + HOUR_MS)));
      await happen(log, placed("soon"), placed("late"));
      await eventually("The deadline is delivered", async () => {
        await run(reminded);
        return (await trails(store)).includes("soon: placed, reminded") && Date.now() >= soon.getTime();
      });
      assert.deepEqual(await trails(store), ["late: placed", "soon: placed, reminded"]);
    },
  },
  {
    name: "deadlines/database-clock",
    promise:
      "Deadlines are due by the database's clock: a process whose clock is wrong by an hour delivers none too early or too late.",
    tooth: trustsItsOwnClock,
    check: async ({ store, log, run }) => {
      const now = Date.now();
      const reminded = remindedAt((order) => new Date(order === "past" ? now - HOUR_MS / 2 : now + HOUR_MS / 2));
      await happen(log, placed("past"), placed("future"));
      await withClock(-HOUR_MS, async () => void (await run(reminded)));
      assert.deepEqual(await trails(store), ["future: placed", "past: placed, reminded"]);
      await withClock(HOUR_MS, async () => void (await run(reminded)));
      assert.deepEqual(await trails(store), ["future: placed", "past: placed, reminded"]);
    },
  },
  {
    name: "deadlines/order",
    promise: "Deadlines that are due are delivered by their moments, the earliest first.",
    tooth: {
      lie: "delivers the latest deadline first",
      adapter: (real) =>
        changeDue(real, async (reader, saga, limit, op) =>
          (await reader.due(saga, 1_000, op)).toReversed().slice(0, limit),
        ),
    },
    check: async ({ log, run }) => {
      const delivered: number[] = [];
      const moments = [30, 10, 40, 20];
      const reminded = orders<unknown>(
        (event, state, { schedule }) => {
          schedule("reminder", new Date(Number(event.data.order)));
          schedule("warning", new Date(Number(event.data.order) + 5));
          return follow(event, state);
        },
        {
          deadlines: {
            reminder: ({ dueAt }) => void delivered.push(dueAt.getTime()),
            warning: ({ dueAt }) => void delivered.push(dueAt.getTime()),
          },
        },
      );
      await happen(log, ...moments.map((moment) => placed(String(moment))));
      await run(reminded);
      assert.deepEqual(delivered, [10, 15, 20, 25, 30, 35, 40, 45]);
    },
  },
  {
    name: "deadlines/survive",
    promise: "Deadlines outlive the process that asked for them.",
    tooth: keepsDeadlinesToItself,
    check: async ({ store, log, run, open }) => {
      const first = await open();
      await happen(log, placed("a"));
      await run(
        remindedAt(() => new Date(0)),
        { maxEvents: 1 },
        first,
      );
      await first.close();
      assert.deepEqual(await trails(store), ["a: placed"]);
      await run(
        remindedAt(() => new Date(0)),
        {},
        await open(),
      );
      assert.deepEqual(await trails(store), ["a: placed, reminded"]);
    },
  },
  {
    name: "deadlines/replaced",
    promise: "A saga has one deadline of a name: another one replaces it, its moment and its data.",
    tooth: {
      lie: "keeps the first deadline of a name",
      adapter: (real) => {
        const known = new Set<string>();
        return changeDeadlines(real, (port) => ({
          set: async (saga, given, op) => {
            if (known.has(given.name)) return;
            known.add(given.name);
            await port.set(saga, given, op);
          },
        }));
      },
    },
    check: async ({ store, log, run }) => {
      const replacing = orders(
        (event, state, { schedule }) => {
          const dueAt = event.data.step === "delay" ? Date.now() + HOUR_MS : 1;
          schedule("reminder", new Date(dueAt), event.data.step);
          return follow(event, state);
        },
        { deadlines: { reminder: ({ data }, state) => remember(`reminded of ${String(data)}`, state) } },
      );
      await happen(log, placed("a"), paid("a", "first"), paid("a", "last"), placed("b"), paid("b", "delay"));
      await run(replacing);
      assert.deepEqual(await trails(store), ["a: placed, first, last, reminded of last", "b: placed, delay"]);
    },
  },
  {
    name: "deadlines/cancelled",
    promise: "A deadline that was taken back is not delivered, also when another one's handler has taken it back.",
    tooth: givesSagaContext("takes no deadline back", (context) => ({ ...context, cancel: () => undefined })),
    check: async ({ store, log, run }) => {
      const cancelling = orders(
        (event, state, { schedule, cancel }) => {
          if (event.type === "placed") {
            schedule("first", new Date(1));
            schedule("second", new Date(2));
            schedule("third", new Date(3));
            schedule("fourth", new Date(4));
          }
          if (event.type === "paid") cancel("second");
          cancel("one that never was");
          return follow(event, state);
        },
        {
          deadlines: {
            first: (_deadline, state, { schedule, cancel }) => {
              cancel("third");
              schedule("fourth", new Date(Date.now() + HOUR_MS));
              return remember("first", state);
            },
            second: (_deadline, state) => remember("second", state),
            third: (_deadline, state) => remember("third", state),
            fourth: (_deadline, state) => remember("fourth", state),
          },
        },
      );
      await happen(log, placed("a"), paid("a"));
      await run(cancelling);
      assert.deepEqual(await trails(store), ["a: placed, paid, first"]);
    },
  },
  {
    name: "deadlines/gone-with-saga",
    promise: "The deadlines of a saga end with it.",
    tooth: keepsDeadlines,
    check: async ({ store, log, run }) => {
      const reminded = remindedAt(() => new Date(0));
      await happen(log, placed("a"), placed("b"), closed("a"));
      await run(reminded, { maxEvents: 3 });
      assert.deepEqual(await store.deadlines.due(ORDERS, 10), await dueOf(store, "b"));
      await run(reminded);
      assert.deepEqual(await trails(store), ["b: placed, reminded"]);
    },
  },
  {
    name: "deadlines/ends",
    promise: "The handler of a deadline may end its saga, schedule again, and append events with all that.",
    tooth: givesSagaContext("forgets what handlers append", (context) => ({ ...context, append: () => undefined })),
    check: async ({ store, log, run }) => {
      let left = 3;
      const repeating = orders(
        (event, state, { schedule }) => {
          schedule("again", new Date(0));
          return follow(event, state);
        },
        {
          deadlines: {
            again: (_deadline, state, { append, schedule }) => {
              left -= 1;
              append({ aggregate: account(REACTIONS), events: [{ type: "reacted", data: left }] });
              if (left > 0) schedule("again", new Date(0));
              return { ...remember("again", state), ended: left === 0 };
            },
          },
        },
      );
      await happen(log, placed("a"));
      await run(repeating);
      assert.deepEqual(await steps(store), [2, 1, 0]);
      assert.deepEqual(await trails(store), []);
      assert.deepEqual(await store.deadlines.due(ORDERS, 10), []);
    },
  },
  {
    name: "deadlines/unknown",
    promise: "A deadline of a name that no handler has is dropped when it is due, and holds up nothing.",
    tooth: followsAs("hands every deadline to any handler", ({ deadlines }) => {
      const [any] = deadlines.values();
      const everything = new Map(deadlines);
      return { deadlines: override<typeof deadlines>(everything, () => ({ get: () => any })) };
    }),
    check: async ({ store, log, run }) => {
      const old = orders(
        (event, state, { schedule }) => {
          schedule("forgotten", new Date(1));
          schedule("reminder", new Date(2));
          return follow(event, state);
        },
        { deadlines: { reminder: (_deadline, state) => remember("reminded", state) } },
      );
      await happen(log, placed("a"));
      const { kind } = await run(old);
      assert.equal(kind, "caught-up");
      assert.deepEqual(await trails(store), ["a: placed, reminded"]);
      assert.deepEqual(await store.deadlines.due(ORDERS, 10), []);
    },
  },
  {
    name: "deadlines/failure",
    promise:
      "When the handler of a deadline fails it is tried again as often as the policy says, then the consumer stops, and the deadline waits.",
    tooth: wakesAs("forgets a deadline whose handler fails", (handle) => async (deadline, state, context) => {
      try {
        return await handle(deadline, state, context);
      } catch {
        return undefined;
      }
    }),
    check: async ({ store, log, run }) => {
      const error = new Error("poison");
      let attempts = 0;
      const failing = remindedAt(
        () => new Date(0),
        () => {
          attempts += 1;
          throw error;
        },
        { attempts: 3, then: "skip" },
      );
      // Two events in one batch, so that the failure might be taken for one of theirs.
      await happen(log, placed("a"), placed("b"));
      const result = await run(failing);
      assert.ok(result.kind === "stopped", `It stopped: ${result.kind}.`);
      assert.deepEqual([result.error, result.handled, attempts], [error, 2, 3]);
      assert.equal(result.position, await log.head(), "Its events are handled.");
      assert.match((await store.consumers.get(ORDERS))?.segments[0]?.error?.text ?? "", /poison/);
      await run(remindedAt(() => new Date(0)));
      assert.deepEqual(await trails(store), ["a: placed, reminded", "b: placed, reminded"]);
    },
  },
  {
    name: "deadlines/failure/once",
    promise: "What the handler of a deadline did before it failed is not there, and another try does it once.",
    tooth: commitsWhatFailed,
    check: async <Tx>({ store, log, run, database }: Scene<Tx>) => {
      let attempts = 0;
      const failing = remindedAt<Tx>(
        () => new Date(0),
        async (_deadline, state, { tx, store: inside }) => {
          attempts += 1;
          await database.effects.write(tx, `attempt ${attempts}`, "made");
          await inside.append({ aggregate: account(REACTIONS), events: [{ type: "reacted", data: attempts }] });
          if (attempts === 1) throw new Error("the first attempt fails");
          return remember("reminded", state);
        },
      );
      await happen(log, placed("a"));
      assert.equal((await run(failing)).kind, "caught-up");
      assert.deepEqual(await trails(store), ["a: placed, reminded"]);
      assert.deepEqual(await steps(store), [2]);
      assert.equal(await database.effects.read("attempt 1"), undefined);
    },
  },
  {
    name: "deadlines/resume",
    promise: "Wherever a saga's holder vanishes, what a deadline does is done exactly once in the end.",
    tooth: afterwards("forgets a deadline in a transaction after the one in which it was delivered", "deadlines"),
    check: async ({ store, log, run, open }) => {
      await happen(log, placed("a"));
      for (const step of CRASH_STEPS) {
        const reminding = (crash?: () => void): SagaConsumer<unknown> =>
          remindedAt(
            () => new Date(0),
            (_deadline, state, { append }) => {
              if (step === "before-handler") crash?.();
              append({ aggregate: account(step), events: [{ type: "reacted", data: "reminded" }] });
              if (step === "after-effect") crash?.();
              return remember("reminded", state);
            },
            {},
            step,
          );
        await run(reminding(), { maxEvents: 1 });
        const vanish = new AbortController();
        const crash = (): void => {
          vanish.abort();
          throw unavailable();
        };
        const victim = await open({}, (real) => crashingAt(vanishing(real), step, crash));
        await run(reminding(crash), { leaseMs: 1, signal: vanish.signal }, victim);
        assert.ok(vanish.signal.aborted, `It vanished ${step}.`);
        await eventually("Its zone can be entered", async () => (await run(reminding())).kind !== "busy");
        assert.deepEqual(await trails(store, step), ["a: placed, reminded"], `Vanished ${step}.`);
        assert.deepEqual(await steps(store, step), ["reminded"], `Vanished ${step}.`);
      }
    },
  },
];

/** These say nothing about where the events are. */
const inOwnLog: readonly SceneLaw[] = [
  {
    name: "find/none",
    promise: "Where no saga has the association none is found, and that is no error.",
    tooth: findsAs("finds any saga where there is none", async (reader, saga, association, op) => {
      const found = await reader.find(saga, association, op);
      return found.length > 0 ? found : everySaga(reader, saga, op);
    }),
    check: async ({ store }) => {
      const zone = await sagaZone(store);
      const look = async (): Promise<void> => {
        assert.deepEqual(await store.sagas.find(ORDERS, "order", "none"), []);
        assert.equal(await store.sagas.get(ORDERS, "none"), undefined);
        await inZone(zone, async ({ sagas }) => {
          assert.deepEqual(await sagas.find(ORDERS, "order", "none"), []);
          assert.equal(await sagas.get(ORDERS, "none"), undefined);
        });
      };
      await look();
      await inZone(zone, ({ sagas }) => sagas.insert(ORDERS, row("a", { order: "one" })));
      await look();
    },
  },
  {
    name: "find/by-association",
    promise: "A saga is found by property and value together, inside and outside of transactions, as it was written.",
    tooth: findsAs("looks at values only", async (reader, saga, { value }, op) =>
      (await everySaga(reader, saga, op)).filter(({ associations }) => associations.some((one) => one.value === value)),
    ),
    check: async ({ store }) => {
      const zone = await sagaZone(store);
      const saga = row("a", { order: "one", customer: "two" }, { deep: [1] });
      await inZone(zone, async ({ sagas }) => {
        await sagas.insert(ORDERS, saga);
        await sagas.insert(ORDERS, row("b", { order: "two" }));
        assert.deepEqual(await sagas.find(ORDERS, "order", "one"), [{ ...saga, version: 1 }]);
      });
      assert.deepEqual(await store.sagas.find(ORDERS, "order", "one"), [{ ...saga, version: 1 }]);
      assert.deepEqual(await store.sagas.get(ORDERS, "a"), { ...saga, version: 1 });
      assert.deepEqual(await ids(store, "customer", "two"), ["a"]);
      assert.deepEqual(await ids(store, "order", "two"), ["b"]);
      assert.deepEqual(await ids(store, "customer", "one"), []);
    },
  },
  {
    name: "find/scoped-by-name",
    promise: "Sagas of one name are never found, listed or changed under another one.",
    tooth: {
      lie: "keeps all sagas under one name",
      adapter: (real) => {
        const one = <Rest extends readonly unknown[], T>(call: (saga: string, ...rest: Rest) => T) => {
          return (_saga: string, ...rest: Rest): T => call("one", ...rest);
        };
        const finding = changeFinding(real, (reader) => ({
          get: one(reader.get),
          find: one(reader.find),
          list: one(reader.list),
        }));
        return changeSagas(finding, (port) => ({
          insert: one(port.insert),
          update: one(port.update),
          remove: one(port.remove),
        }));
      },
    },
    check: async ({ store }) => {
      const zone = await sagaZone(store);
      const names = ["orders", "Orders", "orders ", "o"];
      for (const name of names) {
        const inserted: boolean[] = [];
        await inZone(zone, async ({ sagas }) =>
          inserted.push(await sagas.insert(name, row("a", { order: "one" }, name))),
        );
        assert.deepEqual(inserted, [true], `The id is free under ${JSON.stringify(name)}.`);
      }
      await inZone(zone, ({ sagas }) => sagas.remove("o", "a", 1));
      for (const name of names) {
        const expected = name === "o" ? [] : [{ ...row("a", { order: "one" }, name), version: 1 }];
        assert.deepEqual(await store.sagas.find(name, "order", "one"), expected);
        assert.deepEqual(await collect(store.sagas.list(name)), expected);
      }
    },
  },
  {
    name: "find/id-order",
    promise: "Sagas are found and listed in the byte order of their ids, in pages without end.",
    tooth: {
      lie: "lists only the first page",
      adapter: (real) =>
        changeFinding(real, (reader) => ({
          list: async (saga, after, limit, op) => (after === undefined ? reader.list(saga, after, limit, op) : []),
        })),
    },
    check: async ({ store }) => {
      const zone = await sagaZone(store);
      const given = ["b", "é", "Z", "a ", "a", "\u{1f600}", "\uffee", "10", "9"];
      const numbered = Array.from({ length: 250 }, (_, index) => `n${String(index).padStart(3, "0")}`);
      await inZone(zone, async ({ sagas }) => {
        for (const id of [...given, ...numbered]) await sagas.insert(ORDERS, row(id, { order: "one" }));
      });
      const expected = ["10", "9", "Z", "a", "a ", "b", ...numbered, "é", "\uffee", "\u{1f600}"];
      assert.deepEqual(await ids(store, "order", "one"), expected);
      assert.deepEqual(
        (await collect(store.sagas.list(ORDERS))).map(({ id }) => id),
        expected,
      );
    },
  },
  {
    name: "several-associations",
    promise: "A saga is found by each of its associations.",
    tooth: {
      lie: "keeps one association of a saga",
      adapter: (real) =>
        changeSagas(real, (port) => ({
          insert: (saga, given, op) =>
            port.insert(saga, { ...given, associations: given.associations.slice(0, 1) }, op),
        })),
    },
    check: async ({ store }) => {
      const zone = await sagaZone(store);
      const associations = Object.fromEntries(
        Array.from({ length: 20 }, (_, index) => [`property ${index}`, `value ${index}`]),
      );
      await inZone(zone, ({ sagas }) => sagas.insert(ORDERS, row("a", associations)));
      for (const [property, value] of Object.entries(associations))
        assert.deepEqual(await ids(store, property, value), ["a"]);
      assert.deepEqual((await store.sagas.get(ORDERS, "a"))?.associations, associations);
    },
  },
  {
    name: "several-associations/none",
    promise: "A saga without associations is kept, and found by its id only.",
    tooth: {
      lie: "keeps no saga that nothing could find",
      adapter: (real) =>
        changeSagas(real, (port) => ({
          insert: async (saga, given, op) => given.associations.length === 0 || port.insert(saga, given, op),
        })),
    },
    check: async ({ store }) => {
      const zone = await sagaZone(store);
      await inZone(zone, ({ sagas }) => sagas.insert(ORDERS, row("a", {}, "kept")));
      assert.deepEqual(await store.sagas.get(ORDERS, "a"), { ...row("a", {}, "kept"), version: 1 });
      assert.equal((await collect(store.sagas.list(ORDERS))).length, 1);
    },
  },
  {
    name: "version",
    promise: "Of two changes of the same version of a saga one wins, the other is refused and changes nothing.",
    tooth: updatesAnyVersion,
    check: async ({ store }) => {
      const [one, other] = [await sagaZone(store, "one"), await sagaZone(store, "other")];
      const said: boolean[] = [];
      const say = (
        zone: typeof one,
        work: (sagas: FencedTransaction<unknown>["records"]["sagas"]) => Promise<boolean>,
      ) => inZone(zone, async ({ sagas }) => said.push(await work(sagas)));
      await say(one, (sagas) => sagas.insert(ORDERS, row("a", { order: "one" }, 1)));
      await say(other, (sagas) => sagas.insert(ORDERS, row("a", { order: "two" }, 2)));
      // Both have read version 1.
      await say(one, (sagas) => sagas.update(ORDERS, { ...row("a", { order: "three" }, 3), version: 1 }));
      await say(other, (sagas) => sagas.update(ORDERS, { ...row("a", { order: "four" }, 4), version: 1 }));
      await say(other, (sagas) => sagas.remove(ORDERS, "a", 1));
      assert.deepEqual(said, [true, false, true, false, false]);
      assert.deepEqual(await collect(store.sagas.list(ORDERS)), [{ ...row("a", { order: "three" }, 3), version: 2 }]);
      await say(other, (sagas) => sagas.update(ORDERS, { ...row("a", { order: "five" }, 5), version: 2 }));
      await say(other, (sagas) => sagas.update(ORDERS, { ...row("unknown", {}), version: 1 }));
      await say(one, (sagas) => sagas.remove(ORDERS, "unknown", 1));
      assert.deepEqual(said.slice(5), [true, false, false]);
      assert.deepEqual(await collect(store.sagas.list(ORDERS)), [{ ...row("a", { order: "five" }, 5), version: 3 }]);
    },
  },
  {
    name: "odd-values",
    promise: "Properties and values of any text find exactly the saga that has them, and change no other one.",
    tooth: mapsAssociations("cuts associations off after 255 characters", (text) => text.slice(0, 255)),
    check: async ({ store }) => {
      const zone = await sagaZone(store);
      const associations = odd.flatMap((text) => [{ [text]: "value" }, { property: text }]);
      await inZone(zone, async ({ sagas }) => {
        for (const [index, association] of associations.entries())
          await sagas.insert(ORDERS, row(`${index}`, association));
      });
      for (const [index, association] of associations.entries()) {
        const [[property, value] = ["", ""]] = Object.entries(association);
        assert.deepEqual(
          await ids(store, property, value),
          [`${index}`],
          `${JSON.stringify({ property, value })} finds its saga.`,
        );
        assert.deepEqual((await store.sagas.get(ORDERS, `${index}`))?.associations, association);
      }
    },
  },
  {
    name: "odd-values/case",
    promise: "Properties and values of associations compare by bytes.",
    tooth: mapsAssociations("takes upper and lower case for the same", (text) => text.toLowerCase()),
    check: async ({ store }) => {
      const zone = await sagaZone(store);
      const alike = ["a", "A", "a ", " a", "\u00e4", "a\u0308", "ä", "ﬀ", "ff", "ß", "ss"];
      await inZone(zone, async ({ sagas }) => {
        for (const text of new Set(alike)) {
          await sagas.insert(ORDERS, row(`value ${text}`, { property: text }));
          await sagas.insert(ORDERS, row(`property ${text}`, { [text]: "value" }));
        }
      });
      for (const text of alike) {
        assert.deepEqual(await ids(store, "property", text), [`value ${text}`]);
        assert.deepEqual(await ids(store, text, "value"), [`property ${text}`]);
      }
    },
  },
  {
    name: "odd-values/joined",
    promise: "Property and value are told apart, whatever either holds.",
    tooth: findsAs("joins property and value by a dot", async (reader, saga, { property, value }, op) =>
      (await everySaga(reader, saga, op)).filter(({ associations }) =>
        associations.some((one) => `${one.property}.${one.value}` === `${property}.${value}`),
      ),
    ),
    check: async ({ store }) => {
      const zone = await sagaZone(store);
      const pairs = [".", "\u001f", "|", ":", ",", "\n", '"', "="].flatMap((mark) => [
        { [`a${mark}b`]: "c" },
        { a: `b${mark}c` },
      ]);
      await inZone(zone, async ({ sagas }) => {
        for (const [index, pair] of pairs.entries()) await sagas.insert(ORDERS, row(`${index}`, pair));
      });
      for (const [index, pair] of pairs.entries()) {
        const [[property, value] = ["", ""]] = Object.entries(pair);
        assert.deepEqual(await ids(store, property, value), [`${index}`]);
      }
    },
  },
  {
    name: "odd-values/refused",
    promise:
      "Associations that are empty, too long, or hold a NUL or half a surrogate pair are refused, and nothing is written.",
    tooth: {
      lie: "accepts any text for an association",
      store: (real) =>
        override(real, () => ({
          sagas: override(real.sagas, (sagas) => ({
            find: (saga, property, value, op) =>
              sagas.find(saga, property, value, op).catch((error: unknown) => {
                if (isTidemarkError(error)) return [];
                throw error;
              }),
          })),
        })),
    },
    check: async ({ store }) => {
      const zone = await sagaZone(store);
      for (const [text, code] of [
        ["", "INVALID_ARGUMENT"],
        ["a\u0000", "INVALID_ARGUMENT"],
        ["\ud800", "INVALID_ARGUMENT"],
        ["x".repeat(4_001), "LIMIT_EXCEEDED"],
        ["é".repeat(2_001), "LIMIT_EXCEEDED"],
      ] as const) {
        for (const [property, value] of [
          [text, "value"],
          ["property", text],
        ] as const) {
          await refuses(
            code,
            Promise.resolve().then(() => store.sagas.find(ORDERS, property, value)),
          );
          await refuses(
            code,
            inZone(zone, async ({ sagas }) => sagas.insert(ORDERS, row("a", { [property]: value }))),
          );
        }
      }
      await inZone(zone, ({ sagas }) => sagas.insert(ORDERS, row("a", { ["x".repeat(4_000)]: "é".repeat(2_000) })));
      assert.deepEqual(
        await ids(store, "x".repeat(4_000), "é".repeat(2_000)),
        ["a"],
        "What is just not too long is kept.",
      );
      assert.equal((await collect(store.sagas.list(ORDERS))).length, 1);
    },
  },
];

/** What LAWS calls fenced/saga and fenced/needs-fence. */
const fencedLaws: readonly Law[] = [
  {
    id: "zones/fenced/saga",
    promise: "After a takeover no saga and no deadline that the old holder writes is committed.",
    tooth: commitsWhatFailed,
    check: async (bench) => {
      const { store } = bench;
      const { old, heir } = await takeOver(bench);
      await inZone(heir, ({ sagas }) => sagas.insert(ORDERS, row("a", { order: "one" }, "of the heir")));
      const late = inZone(old, async ({ sagas, deadlines }) => {
        await sagas.insert(ORDERS, row("b", { order: "two" }, "of the old holder"));
        await sagas.update(ORDERS, { ...row("a", { order: "two" }, "of the old holder"), version: 1 });
        await deadlines.set(ORDERS, { sagaId: "a", name: "late", dueAt: new Date(0), data: null });
      });
      await refuses("ZONE_LOST", late);
      assert.deepEqual(await collect(store.sagas.list(ORDERS)), [
        { ...row("a", { order: "one" }, "of the heir"), version: 1 },
      ]);
      assert.deepEqual(await store.deadlines.due(ORDERS, 10), []);
    },
  },
  {
    id: "zones/fenced/needs-fence",
    promise:
      "Sagas, deadlines, dead letters and completions are written in a zone's transaction only, and no longer than it lasts.",
    tooth: writesLate,
    check: async ({ store, database }) => {
      const records = ["sagas", "deadlines", "deadLetters", "completions", "records"];
      await store.transaction(async (_tx, inside) => {
        for (const name of records)
          assert.ok(!(name in inside), `A transaction without a zone does not offer ${name}.`);
      });
      const raw = await database.begin();
      for (const name of records)
        assert.ok(!(name in store.within(raw.tx)), `A caller's transaction does not offer ${name}.`);
      await raw.rollback();
      for (const writer of [store.sagas, store.deadlines]) {
        for (const name of ["insert", "update", "remove", "set"])
          assert.ok(!(name in writer), `A store does not offer ${name}.`);
      }
      const zone = await sagaZone(store);
      const kept: FencedTransaction<unknown>["records"][] = [];
      await inZone(zone, async (given) => kept.push(given));
      await fulfils(zone.leave(), "The zone is left");
      for (const { sagas, deadlines } of kept) {
        await refuses("TRANSACTION_ENDED", sagas.insert(ORDERS, row("a", { order: "one" })));
        await refuses(
          "TRANSACTION_ENDED",
          deadlines.set(ORDERS, { sagaId: "a", name: "late", dueAt: new Date(0), data: null }),
        );
      }
      assert.deepEqual(await collect(store.sagas.list(ORDERS)), []);
    },
  },
];

export const sagaLaws: readonly Law[] = [
  ...inOwnLog.map(withOwnLog),
  ...inAnyLog.map(withOwnLog),
  ...fencedLaws,
  ...inAnyLog.map(withForeignLog),
];

const HOUR_MS = 3_600_000;
const REACTIONS = "reactions";

/** Texts that have broken somebody's saga store. */
const odd = [
  "'; drop table saga; --",
  '"quoted"',
  "a.b.c",
  "$.path[0]",
  "100%_",
  "back\\slash",
  "line\nbreak\ttab",
  "x".repeat(1_000),
  `${"x".repeat(999)}y`,
  "null",
  "undefined",
  "[]",
  "{}",
  "0",
  " ",
  "👩‍🚀 астронавт 宇航员",
  "__proto__",
  "constructor",
];

async function ids<Tx>(store: Store<Tx>, property: string, value: string): Promise<readonly string[]> {
  return (await store.sagas.find(ORDERS, property, value)).map(({ id }) => id);
}

/** The zone of a saga consumer that reads `log` from its beginning. */
async function declared<Tx>(store: Store<Tx>, log: Store<Tx>) {
  await store.consumers.declare(ORDERS, { kind: "saga", start: "beginning", log });
  return enter(store, ORDERS, { log });
}

/** What a handler appends in reaction to an event. */
function reaction(event: OrderEvent, id: string = REACTIONS): AppendRequest {
  return { aggregate: account(id), events: [{ type: "reacted", data: event.data.step }] };
}

async function steps<Tx>(store: Store<Tx>, id: string = REACTIONS): Promise<readonly unknown[]> {
  const events = await collect(store.readAggregate(account(id)));
  return events.map((event) => event.data);
}

/** A handler that appends, writes an effect and changes the state. */
function everything<Tx>(
  database: TestDatabase<Tx>,
): (event: OrderEvent, state: TrailState | undefined, context: SagaContext<Tx>) => Promise<TrailState> {
  return async (event, state, { tx, append }) => {
    append(reaction(event));
    await database.effects.write(tx, String(event.data.order), event.data.step);
    return follow(event, state);
  };
}

function sixSteps(): ReturnType<typeof placed>[] {
  return ["1", "2", "3", "4", "5", "6"].map((step) => placed("a", step));
}

/** Somebody else goes on where the consumer `name` was cut off, and everything is there exactly once. */
async function assertResumes<Tx>({ store, run }: Pick<Scene<Tx>, "store" | "run">, name: string): Promise<void> {
  const reacting = orders<Tx>(
    (event, state, { append }) => {
      append(reaction(event, name));
      return follow(event, state);
    },
    { name },
  );
  await eventually("Its zone can be entered", async () => (await run(reacting, { fetchSize: 2 })).kind !== "busy");
  assert.deepEqual(await trails(store, name), ["a: 1, 2, 3, 4, 5, 6"], `Cut off ${name}.`);
  assert.deepEqual(await steps(store, name), ["1", "2", "3", "4", "5", "6"], `Cut off ${name}.`);
}

/** A saga of orders that asks to be reminded when an order is placed. */
function remindedAt<Tx>(
  moment: (order: string | null) => Date,
  remind: NonNullable<NonNullable<Parameters<typeof orders<Tx>>[1]>["deadlines"]>[string] = (_deadline, state) =>
    remember("reminded", state),
  failure = {},
  name = ORDERS,
): SagaConsumer<Tx> {
  return orders<Tx>(
    (event, state, { schedule }) => {
      if (event.type === "placed") schedule("reminder", moment(event.data.order));
      return follow(event, state);
    },
    { name, failure, deadlines: { reminder: remind } },
  );
}

/** One handler for all events, in the way of Evento. */
function freeOrders<Tx>(): SagaConsumer<Tx> {
  return defineSaga<Tx, Trail>({
    name: ORDERS,
    start: "beginning",
    handle: async (event, find) => {
      const order = event as OrderEvent;
      const { state } = await find("order", String(order.data.order));
      return state !== undefined || order.type === "placed" ? follow(order, state) : undefined;
    },
  });
}

async function dueOf<Tx>(store: Store<Tx>, order: string): Promise<readonly Deadline[]> {
  const [saga] = await store.sagas.find(ORDERS, "order", order);
  return [{ sagaId: saga?.id ?? "none", name: "reminder", dueAt: new Date(0), data: null }];
}

/** Runs `work` in a process whose clock is `offset` milliseconds wrong. */
async function withClock(offset: number, work: () => Promise<void>): Promise<void> {
  const now = Date.now;
  Date.now = () => now() + offset;
  try {
    await work();
  } finally {
    Date.now = now;
  }
}

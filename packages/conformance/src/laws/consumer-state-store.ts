import {
  type ConsumerStateStore,
  type ConsumerStateStoreOptions,
  defineProjector,
  type FreeSagaHandler,
  isTidemarkError,
  type Observation,
  type RecordedEvent,
  type SagaState,
  START,
  type Store,
  type TransactionalContext,
} from "@tidemark/core";
import { inherit, ORDERS } from "../consumers.ts";
import { account, deposit, deposits } from "../events.ts";
import { assert, collect, FULFILLED, fulfils, outcome, refuses } from "../expect.ts";
import { changeFence, changeRecords, unavailable, unaware } from "../faults.ts";
import type { Law } from "../law.ts";
import { lawsAbout, type Scene, type SceneLaw } from "../scene.ts";
import {
  changeParking,
  consumesDeadEvents,
  consumesInContext,
  consumesPlain,
  countsNothing,
  entersByItself,
  failsOpen,
  hidesBusy,
  letsItselfInAgain,
  stateStoreThat,
  stateStoreWith,
} from "../lies/consumer-state-store.ts";
import { everySaga, findsAs, onlySaysRemoved, updatesAnyVersion } from "../lies/sagas.ts";
import {
  commitsWhatFailed,
  ignoresToken,
  letsEveryoneIn,
  neverLeaves,
  operates,
  showsSegments,
  unless,
} from "../lies/zones.ts";

/** What a law about Evento's contract has: state in one database, and a log that may be in another one. */
interface StateScene<Tx> extends Scene<Tx> {
  /** A consumer state store on `store`, with the events in {@link log}; failures are tried twice, at once. */
  states(options?: ConsumerStateStoreOptions, store?: Store<Tx>): ConsumerStateStore<Tx>;
}

interface StateLaw extends Omit<SceneLaw, "check"> {
  check<Tx>(scene: StateScene<Tx>): Promise<void>;
}

const { withOwnLog, withForeignLog } = lawsAbout("consumer-state-store");

const KINDS = ["Projector", "Observer", "Saga"] as const;
type Kind = (typeof KINDS)[number];

/** These hold with the events beside the state, and with the events in another log. */
const inAnyLog: readonly StateLaw[] = [
  {
    name: "consume/projector",
    promise:
      "`consumeEventsForProjector` handles all events from the beginning, with their effects, and says how many.",
    tooth: countsNothing,
    check: async ({ store, log, states, database }) => {
      const seen: unknown[] = [];
      const consumer = states();
      const cycle = (): Promise<number> =>
        consumer.consumeEventsForProjector(ORDERS, "deposits", undefined, async (event, { tx }) => {
          seen.push(amountOf(event));
          await database.effects.write(tx, String(amountOf(event)), "applied");
        });
      await log.append(deposit("a", 3));
      assert.deepEqual([await cycle(), await cycle()], [3, 0]);
      await log.append({ aggregate: account("a"), events: deposits(1, 4) });
      assert.equal(await cycle(), 1);
      assert.deepEqual(seen, [1, 2, 3, 4]);
      assert.equal(await database.effects.read("4"), "applied");
      assert.equal(await consumer.getLastEventSequenceNumber(ORDERS), await log.head());
      assert.equal((await store.consumers.get(ORDERS))?.kind, "projector");
    },
  },
  {
    name: "consume/observer",
    promise:
      "`consumeEventsForObserver` handles what happens after its first cycle, and says how many events that were.",
    tooth: countsNothing,
    check: async ({ store, log, states }) => {
      const seen: unknown[] = [];
      const consumer = states();
      const cycle = (): Promise<number> =>
        consumer.consumeEventsForObserver(ORDERS, "mails", undefined, (event) => void seen.push(amountOf(event)));
      await log.append(deposit("a", 2));
      assert.equal(await cycle(), 0);
      await log.append({ aggregate: account("a"), events: deposits(3, 3) });
      assert.deepEqual([await cycle(), await cycle()], [3, 0]);
      assert.deepEqual(seen, [3, 4, 5]);
      assert.equal(await consumer.getLastEventSequenceNumber(ORDERS), await log.head());
      assert.equal((await store.consumers.get(ORDERS))?.kind, "observer");
    },
  },
  {
    name: "consume/saga",
    promise:
      "`consumeEventsForSaga` moves sagas of its name by what happens after its first cycle, and says how many events that were.",
    tooth: stateStoreThat("keeps sagas under the consumer's name", (real) => ({
      consumeEventsForSaga: (id, _saga, ...rest) => real.consumeEventsForSaga(id, id, ...rest),
    })),
    check: async ({ log, states }) => {
      const consumer = states();
      const cycle = (): Promise<number> => consumer.consumeEventsForSaga(ORDERS, SAGA, undefined, sum);
      await log.append(deposit("a", 1));
      assert.equal(await cycle(), 0);
      await log.append(deposit("a", 3));
      await log.append(deposit("b", 1));
      assert.deepEqual([await cycle(), await cycle()], [4, 0]);
      await log.append({ aggregate: account("a"), events: deposits(1, 10) });
      assert.equal(await cycle(), 1);
      const { id, version, state } = await consumer.getSagaState(SAGA, "account", "a");
      assert.equal(typeof id, "string");
      assert.deepEqual([version, state], [4, { associations: { account: "a" }, data: 16 }]);
      assert.deepEqual((await consumer.getSagaState(SAGA, "account", "b")).state?.data, 1);
    },
  },
  {
    name: "consume/saga/ends",
    promise: "A saga whose handler says that it has ended is gone, and one that ends at once was never there.",
    tooth: onlySaysRemoved,
    check: async ({ store, log, states }) => {
      const consumer = states();
      const ending: FreeSagaHandler<unknown, number, RecordedEvent> = async (event, find, context) => {
        const after = await sum(event, find, context);
        return { ...after, ended: amountOf(event) === 3 || event.aggregate.id === "brief" };
      };
      await consumer.getLastEventSequenceNumberSagaOrHead(ORDERS);
      await log.append(deposit("a", 3));
      await log.append(deposit("brief", 2));
      await log.append(deposit("b", 2));
      assert.equal(await consumer.consumeEventsForSaga(ORDERS, SAGA, undefined, ending), 7);
      const left = await collect(store.sagas.list(SAGA));
      assert.deepEqual(
        left.map(({ associations }) => associations),
        [{ account: "b" }],
      );
    },
  },
  {
    name: "consume/context",
    promise: 'A context of undefined or "*" means all events, any other one means those of that context.',
    tooth: consumesInContext("takes the star for the name of a context", (context) =>
      context === "*" ? "star" : context,
    ),
    check: async ({ log, states }) => {
      for (const kind of KINDS)
        await declareAtBeginning(
          log,
          states(),
          ["none", "star", "test"].map((name) => kind + name),
        );
      await log.append(deposit("a", 1));
      await log.append({ aggregate: { context: "test", ...account("a") }, events: deposits(1, 2) });
      for (const kind of KINDS) {
        const seen = async (name: string, context: string | undefined): Promise<readonly unknown[]> => {
          const amounts: number[] = [];
          await consumeBy(kind, states(), kind + name, (event) => void amounts.push(amountOf(event)), context);
          return amounts.toSorted((a, b) => a - b);
        };
        assert.deepEqual(await seen("none", undefined), [1, 2], `${kind}: undefined`);
        assert.deepEqual(await seen("star", "*"), [1, 2], `${kind}: star`);
        assert.deepEqual(await seen("test", "test"), [2], `${kind}: a context`);
      }
    },
  },
  {
    name: "consume/fetch-size",
    promise: "A projector's transaction holds at most as many events as are fetched at once.",
    tooth: stateStoreThat("fetches what it likes", (real) => ({
      consumeEventsForProjector: (id, name, context, handler) =>
        real.consumeEventsForProjector(id, name, context, handler),
    })),
    check: async ({ log, states }) => {
      await log.append(deposit("a", 5));
      const transactions = new Map<unknown, number>();
      const handle = (_event: RecordedEvent, { tx }: TransactionalContext<unknown>): void =>
        void transactions.set(tx, (transactions.get(tx) ?? 0) + 1);
      assert.equal(await states().consumeEventsForProjector(ORDERS, "deposits", undefined, handle, 2), 5);
      assert.deepEqual([...transactions.values()], [2, 2, 1]);
    },
  },
  {
    name: "consume/busy",
    promise: "Consuming says -1 and touches nothing when the zone is taken, for every kind, and for dead events too.",
    tooth: hidesBusy,
    check: async ({ store, log, states, open }) => {
      const [holder, other] = [states(), states({}, await open())];
      await log.append(deposit("a", 2));
      for (const kind of KINDS) {
        assert.equal(await holder.enterExclusiveZone(kind, kindOf(kind)), true);
        const before = await store.consumers.get(kind);
        const calls: unknown[] = [];
        for (const consumer of [holder, other]) {
          assert.equal(await consumeBy(kind, consumer, kind, (event) => void calls.push(event)), -1, kind);
          assert.equal(await consumeDeadBy(kind, consumer, kind, (event) => void calls.push(event)), -1, kind);
        }
        assert.deepEqual(calls, []);
        assert.deepEqual(await store.consumers.get(kind), before);
      }
    },
  },
  {
    name: "consume/atomic",
    promise: "What a handler did before it failed is not there, and its neighbours' effects are, once.",
    tooth: commitsWhatFailed,
    check: async ({ log, states, database }) => {
      await log.append(deposit("a", 3));
      const count = await states({ failure: { ...QUICK, then: "skip" } }).consumeEventsForProjector(
        ORDERS,
        "deposits",
        undefined,
        async (event, { tx }) => {
          await database.effects.write(tx, String(amountOf(event)), "applied");
          if (amountOf(event) === 2) throw new Error("poison");
        },
      );
      assert.equal(count, 2);
      const effects = await Promise.all(["1", "2", "3"].map((key) => database.effects.read(key)));
      assert.deepEqual(effects, ["applied", undefined, "applied"]);
    },
  },
  {
    name: "failure/park",
    promise: "An event that its handler cannot handle becomes a dead event of every kind of consumer, which goes on.",
    tooth: stateStoreWith("skips what cannot be handled", ({ failure }) => ({ failure: { ...failure, then: "skip" } })),
    check: async ({ log, states }) => {
      await declareAtBeginning(log, states(), KINDS);
      await log.append(deposit("a", 1));
      const { positions } = await log.append({ aggregate: account("b"), events: deposits(1, POISON) });
      await log.append({ aggregate: account("c"), events: deposits(1, 3) });
      for (const kind of KINDS) {
        const consumer = states();
        const seen = new Set<unknown>();
        assert.equal(await consumeBy(kind, consumer, kind, poisoned(seen)), 2, kind);
        assert.deepEqual(seen, new Set([1, 3]));
        const dead = await collect(consumer.getDeadEvents(kind));
        assert.deepEqual(
          dead.map(({ event, cause, attempts, request }) => [
            event.position,
            event.data,
            cause?.message,
            attempts,
            request,
          ]),
          [[positions[0], { amount: POISON }, "poison", 2, undefined]],
          kind,
        );
        assert.equal(await consumer.getLastEventSequenceNumber(kind), await log.head());
      }
    },
  },
  {
    name: "failure/stop",
    promise:
      "Under the policy stop consuming rejects with the handler's error, and the checkpoint stays before the event.",
    tooth: stateStoreThat("says nothing of a failure", (real) => ({
      consumeEventsForProjector: (...args) => real.consumeEventsForProjector(...args).catch(() => 0),
      consumeEventsForObserver: (...args) => real.consumeEventsForObserver(...args).catch(() => 0),
      consumeEventsForSaga: (...args) => real.consumeEventsForSaga(...args).catch(() => 0),
    })),
    check: async ({ log, states }) => {
      await declareAtBeginning(log, states(), KINDS);
      const { positions } = await log.append(deposit("a", 1));
      await log.append({ aggregate: account("a"), events: deposits(2, POISON) });
      for (const kind of KINDS) {
        const consumer = states({ failure: { ...QUICK, then: "stop" } });
        const error = await outcome(consumeBy(kind, consumer, kind, poisoned()));
        assert.ok(error instanceof Error && error.message === "poison", `${kind} rejects: ${String(error)}.`);
        assert.equal(await consumer.getLastEventSequenceNumber(kind), positions[0], kind);
        assert.deepEqual(await collect(consumer.getDeadEvents(kind)), []);
        assert.match((await consumer.getErrorState(kind))?.text ?? "", /poison/);
      }
    },
  },
  {
    name: "dead-events/retry",
    promise:
      "`consumeDeadEvents` handles the dead events that are marked for retry, and nothing else; they are gone then.",
    tooth: consumesDeadEvents("retries every dead event", (store, id) => store.deadLetters.retry(id, "all")),
    check: async (scene) => {
      const { log, states } = scene;
      for (const kind of KINDS) {
        const consumer = states();
        const [first, second, third] = await killed(scene, kind, 3);
        const seen: unknown[] = [];
        await consumer.setRetryDeadEvent(kind, second, true);
        await consumer.setRetryDeadEvent(kind, third, true);
        await consumer.setRetryDeadEvent(kind, third, false);
        await consumer.setRetryDeadEvent(kind, START, true);
        const requests = (await collect(consumer.getDeadEvents(kind))).map(({ request }) => request);
        assert.deepEqual(requests, [undefined, "retry", undefined]);
        await log.append(deposit(`new of ${kind}`));
        assert.equal(await consumeDeadBy(kind, consumer, kind, (event) => void seen.push(event.position)), 1, kind);
        assert.deepEqual(seen, [second], kind);
        assert.deepEqual(await deadOf(consumer, kind), [first, third]);
        assert.equal(await consumeDeadBy(kind, consumer, kind, poisoned()), 0, "Once only.");
      }
    },
  },
  {
    name: "dead-events/oldest-first",
    promise: "Dead events are handled again in the order of the log, in whatever order they were marked.",
    tooth: {
      lie: "hands dead events out backwards",
      adapter: (real) =>
        changeParking(
          real,
          () => ({}),
          (records) => ({
            list: async (consumer, query, op) => (await records.list(consumer, query, op)).toReversed(),
          }),
        ),
    },
    check: async (scene) => {
      for (const kind of KINDS) {
        const consumer = scene.states();
        const dead = await killed(scene, kind, 4);
        for (const position of dead.toReversed()) await consumer.setRetryDeadEvent(kind, position, true);
        const seen: unknown[] = [];
        assert.equal(await consumeDeadBy(kind, consumer, kind, (event) => void seen.push(event.position)), 4);
        assert.deepEqual(seen, dead, kind);
      }
    },
  },
  {
    name: "dead-events/failed-again",
    promise: "A dead event that fails again stays one, with another attempt counted and without its mark.",
    tooth: {
      lie: "forgets a dead event that fails again",
      adapter: (real) =>
        changeParking(real, (port) => ({
          park: async (consumer, letters, op) => {
            for (const letter of letters) {
              if (!(await port.remove(consumer, letter.position, op))) await port.park(consumer, [letter], op);
            }
          },
        })),
    },
    check: async (scene) => {
      for (const kind of KINDS) {
        const consumer = scene.states();
        const [dead] = await killed(scene, kind, 1);
        const [before] = await collect(consumer.getDeadEvents(kind));
        await consumer.setRetryDeadEvent(kind, dead, true);
        assert.equal(await consumeDeadBy(kind, consumer, kind, poisoned()), 0);
        const [after] = await collect(consumer.getDeadEvents(kind));
        assert.ok(before !== undefined && after !== undefined, `${kind}: it stays.`);
        assert.deepEqual([after.event, after.request], [before.event, undefined]);
        assert.ok(
          after.attempts > before.attempts,
          `${kind}: ${before.attempts} attempts have become ${after.attempts}.`,
        );
        assert.deepEqual(after.firstAt, before.firstAt);
      }
    },
  },
  {
    name: "dead-events/disabled",
    promise: "A disabled consumer handles no dead events, and loses none.",
    tooth: consumesDeadEvents("handles dead events of disabled consumers", (store, id) => store.consumers.enable(id)),
    check: async (scene) => {
      for (const kind of KINDS) {
        const consumer = scene.states();
        const [dead] = await killed(scene, kind, 1);
        await consumer.setRetryDeadEvent(kind, dead, true);
        await consumer.setEnabled(kind, false);
        const calls: unknown[] = [];
        assert.equal(await consumeDeadBy(kind, consumer, kind, (event) => void calls.push(event)), 0);
        assert.equal(calls.length, 0);
        await consumer.setEnabled(kind, true);
        assert.equal(await consumeDeadBy(kind, consumer, kind, (event) => void calls.push(event)), 1);
        assert.equal(calls.length, 1, kind);
        assert.deepEqual(await deadOf(consumer, kind), []);
      }
    },
  },
  {
    name: "dead-events/remove",
    promise:
      "A dead event that was removed is forgotten by the next cycle without being handled, and what waited behind it is handled.",
    tooth: stateStoreThat("removes no dead event", () => ({ removeDeadEvent: async () => undefined })),
    check: async ({ log, states }) => {
      await declareAtBeginning(log, states(), KINDS);
      const { positions } = await log.append({ aggregate: account("a"), events: deposits(2, POISON) });
      const [dead, waiting] = positions;
      assert.ok(dead !== undefined && waiting !== undefined);
      for (const kind of KINDS) {
        const consumer = states();
        await consumeBy(kind, consumer, kind, poisoned());
        assert.deepEqual(await deadOf(consumer, kind), [dead, waiting], `${kind}: the later event waits.`);
        await consumer.removeDeadEvent(kind, dead);
        await consumer.removeDeadEvent(kind, START);
        const seen: unknown[] = [];
        await consumeBy(kind, consumer, kind, (event) => void seen.push(event.position));
        await consumeDeadBy(kind, consumer, kind, (event) => void seen.push(event.position));
        assert.deepEqual(seen, [waiting], kind);
        assert.deepEqual(await deadOf(consumer, kind), []);
      }
    },
  },
  {
    name: "zone/required",
    promise: "Checkpoints and saga states are written in the consumer's zone only.",
    tooth: entersByItself,
    check: async ({ store, log, states }) => {
      const consumer = states();
      const { positions } = await log.append(deposit("a"));
      const position = positions[0] ?? START;
      const assertRefused = async (): Promise<void> => {
        await refuses(
          "ZONE_REQUIRED",
          inTurn(() => consumer.setLastEventSequenceNumber(ORDERS, position)),
        );
        await refuses(
          "ZONE_REQUIRED",
          inTurn(() => consumer.setSagaState(undefined, SAGA, STATE)),
        );
        await refuses(
          "ZONE_REQUIRED",
          inTurn(() => consumer.removeSagaState("none", SAGA)),
        );
      };
      await assertRefused();
      assert.equal(await consumer.enterExclusiveZone(ORDERS, "saga"), true);
      const id = await consumer.setSagaState(undefined, SAGA, STATE);
      await consumer.leaveExclusiveZone(ORDERS);
      await assertRefused();
      await refuses(
        "ZONE_REQUIRED",
        inTurn(() => consumer.removeSagaState(id, SAGA)),
      );
      assert.equal((await store.sagas.get(SAGA, id))?.version, 1, "Nothing has changed.");
      assert.equal((await collect(store.sagas.list(SAGA))).length, 1);
    },
  },
  {
    name: "zone/not-reentrant",
    promise: "`enterExclusiveZone` says false when the zone is taken, also to its holder.",
    tooth: letsItselfInAgain,
    check: async ({ states }) => {
      const consumer = states();
      assert.equal(await consumer.enterExclusiveZone(ORDERS), true);
      assert.equal(await consumer.enterExclusiveZone(ORDERS), false);
      assert.equal(await consumer.enterExclusiveZone("another"), true);
      await consumer.leaveExclusiveZone(ORDERS);
      assert.equal(await consumer.enterExclusiveZone(ORDERS), true);
    },
  },
  {
    name: "zone/exclusive",
    promise: "Of several that enter the zone of one consumer one is let in.",
    tooth: letsEveryoneIn,
    check: async ({ states, open }) => {
      const consumers = [states(), states(), states({}, await open())];
      const entered = await Promise.all(consumers.map((consumer) => consumer.enterExclusiveZone(ORDERS)));
      assert.equal(entered.filter(Boolean).length, 1);
    },
  },
  {
    name: "zone/leave",
    promise:
      "`leaveExclusiveZone` frees the zone for everyone, may be called twice, and leaves the zones of others alone.",
    tooth: neverLeaves,
    check: async ({ states }) => {
      const [one, other] = [states(), states()];
      await fulfils(one.leaveExclusiveZone("unknown"), "Leaving what was never entered is allowed");
      assert.equal(await one.enterExclusiveZone(ORDERS), true);
      await other.leaveExclusiveZone(ORDERS);
      assert.equal(await other.enterExclusiveZone(ORDERS), false, "Somebody else cannot leave it.");
      await one.leaveExclusiveZone(ORDERS);
      await fulfils(one.leaveExclusiveZone(ORDERS), "Leaving twice is allowed");
      assert.equal(await other.enterExclusiveZone(ORDERS), true);
    },
  },
  {
    name: "zone/close",
    promise: "Closing leaves all zones, and the store beneath goes on.",
    tooth: stateStoreThat("leaves no zone when it is closed", () => ({ close: async () => undefined })),
    check: async ({ store, states }) => {
      const [one, other] = [states(), states()];
      for (const name of ["first", "second"]) assert.equal(await one.enterExclusiveZone(name), true);
      await one.close();
      await fulfils(one.close(), "Closing twice is allowed");
      for (const name of ["first", "second"]) assert.equal(await other.enterExclusiveZone(name), true);
      await fulfils(store.head(), "The store is open");
    },
  },
  {
    name: "zone/several",
    promise: "Who holds several zones says by which one a saga state is fenced.",
    tooth: stateStoreThat("takes any zone for a fence", (real) => ({
      setSagaState: (id, saga, state, options) =>
        real.setSagaState(id, saga, state, { consumerId: "first", ...options }),
    })),
    check: async ({ store, states }) => {
      const consumer = states();
      for (const name of ["first", "second"]) assert.equal(await consumer.enterExclusiveZone(name, "saga"), true);
      await refuses(
        "ZONE_REQUIRED",
        inTurn(() => consumer.setSagaState(undefined, SAGA, STATE)),
      );
      await refuses(
        "ZONE_REQUIRED",
        inTurn(() => consumer.setSagaState(undefined, SAGA, STATE, { consumerId: "third" })),
      );
      const id = await consumer.setSagaState(undefined, SAGA, STATE, { consumerId: "second" });
      assert.deepEqual(
        (await collect(store.sagas.list(SAGA))).map((saga) => saga.id),
        [id],
      );
    },
  },
  {
    name: "zone/fenced",
    promise: "After a takeover the old holder writes neither checkpoint nor saga state.",
    tooth: ignoresToken,
    check: async ({ store, log, states, open }) => {
      const { positions } = await log.append(deposit("a", 2));
      const [first = START, second = START] = positions;
      const stale = states({ leaseMs: 1 }, await open({}, unaware));
      assert.equal(await stale.enterExclusiveZone(ORDERS, "saga"), true);
      const heir = await inherit(store, ORDERS, { log });
      await heir.commit(() => (second > heir.position ? second : heir.position));
      await refuses(
        "ZONE_LOST",
        stale.setLastEventSequenceNumber(ORDERS, first > heir.position ? first : heir.position),
      );
      await refuses("ZONE_LOST", stale.setSagaState(undefined, SAGA, STATE));
      assert.deepEqual(await collect(store.sagas.list(SAGA)), []);
      assert.equal(await store.consumers.checkpoint(ORDERS), heir.position);
    },
  },
  {
    name: "checkpoint/none",
    promise:
      "`getLastEventSequenceNumber` is undefined until a checkpoint is committed, also after only disabling, failing or entering.",
    tooth: showsSegments("takes every record of a consumer for a checkpoint", (segment) => ({
      ...segment,
      position: segment.position ?? START,
      committedAt: segment.committedAt ?? 0,
    })),
    check: async ({ log, states }) => {
      const consumer = states();
      const { positions } = await log.append(deposit("a"));
      await consumer.setEnabled("disabled", false);
      await consumer.setLastError("failed", new Error("failed"));
      await consumer.enterExclusiveZone("entered");
      for (const name of ["unknown", "disabled", "failed", "entered"]) {
        assert.equal(await consumer.getLastEventSequenceNumber(name), undefined, name);
      }
      await consumer.setLastEventSequenceNumber("entered", positions[0] ?? START);
      assert.equal(await consumer.getLastEventSequenceNumber("entered"), positions[0]);
    },
  },
  {
    name: "checkpoint/head",
    promise:
      "`getLastEventSequenceNumberSagaOrHead` is the checkpoint, which for a new consumer is the head of that moment from then on.",
    tooth: stateStoreThat("says where the head is", (_real, { store, options }) => ({
      getLastEventSequenceNumberSagaOrHead: () => (options.log ?? store).head(),
    })),
    check: async ({ log, states, open }) => {
      const [consumer, other] = [states(), states({}, await open())];
      await log.append(deposit("a", 2));
      const head = await log.head();
      assert.equal(await consumer.getLastEventSequenceNumberSagaOrHead(ORDERS, "observer"), head);
      const { positions } = await log.append(deposit("a", 1));
      assert.equal(await consumer.getLastEventSequenceNumberSagaOrHead(ORDERS, "observer"), head);
      assert.equal(await other.getLastEventSequenceNumberSagaOrHead(ORDERS, "observer"), head);
      assert.equal(await consumeBy("Observer", other, ORDERS, () => undefined), 1, "It goes on behind that.");
      assert.equal(await consumer.getLastEventSequenceNumberSagaOrHead(ORDERS, "observer"), positions[0]);
    },
  },
  {
    name: "checkpoint/set",
    promise: "`setLastEventSequenceNumber` moves the checkpoint forward, and consuming goes on behind it.",
    tooth: stateStoreThat("forgets checkpoints that are set by hand", () => ({
      setLastEventSequenceNumber: async () => undefined,
    })),
    check: async ({ log, states }) => {
      const consumer = states();
      const { positions } = await log.append(deposit("a", 3));
      await consumer.enterExclusiveZone(ORDERS);
      await consumer.setLastEventSequenceNumber(ORDERS, positions[1] ?? START);
      assert.equal(await consumer.getLastEventSequenceNumber(ORDERS), positions[1]);
      await consumer.leaveExclusiveZone(ORDERS);
      const seen: unknown[] = [];
      await consumeBy("Projector", consumer, ORDERS, (event) => void seen.push(amountOf(event)));
      assert.deepEqual(seen, [3]);
    },
  },
  {
    name: "checkpoint/never-back",
    promise: "`setLastEventSequenceNumber` does not move a checkpoint back.",
    tooth: stateStoreThat("says nothing when a checkpoint cannot be moved", (real) => ({
      setLastEventSequenceNumber: (id, position) =>
        unless("INVALID_ARGUMENT", real.setLastEventSequenceNumber(id, position), async () => undefined),
    })),
    check: async ({ log, states }) => {
      const consumer = states();
      const { positions } = await log.append(deposit("a", 2));
      await consumer.enterExclusiveZone(ORDERS);
      await consumer.setLastEventSequenceNumber(ORDERS, positions[1] ?? START);
      await refuses("INVALID_ARGUMENT", consumer.setLastEventSequenceNumber(ORDERS, positions[0] ?? START));
      assert.equal(await consumer.getLastEventSequenceNumber(ORDERS), positions[1]);
    },
  },
  {
    name: "checkpoint/clears-error",
    promise: "`setLastEventSequenceNumber` clears the error state together with moving the checkpoint.",
    tooth: {
      lie: "keeps errors for ever",
      adapter: (real) => changeFence(real, (port, fence, op) => port.fence({ ...fence, clearError: false }, op)),
    },
    check: async ({ log, states }) => {
      const consumer = states();
      const { positions } = await log.append(deposit("a"));
      await consumer.enterExclusiveZone(ORDERS);
      await consumer.setLastError(ORDERS, new Error("failed"));
      await consumer.setLastEventSequenceNumber(ORDERS, positions[0] ?? START);
      assert.equal(await consumer.getErrorState(ORDERS), undefined);
    },
  },
  {
    name: "enabled",
    promise:
      "A consumer is enabled until it is disabled, also before its first use; disabled it handles nothing, whoever asks, until it is enabled again.",
    tooth: {
      lie: "forgets that a consumer was disabled",
      adapter: (real) => changeRecords(real, () => ({ setEnabled: async () => undefined })),
    },
    check: async ({ log, states, open }) => {
      const [consumer, other] = [states(), states({}, await open())];
      await log.append(deposit("a", 2));
      for (const kind of KINDS) {
        assert.equal(await consumer.isEnabled(kind), true, "Unknown is enabled.");
        await consumer.setEnabled(kind, false);
        assert.equal(await other.isEnabled(kind), false);
        const calls: unknown[] = [];
        assert.equal(await consumeBy(kind, other, kind, (event) => void calls.push(event)), 0);
        assert.deepEqual(calls, [], kind);
        await consumer.setEnabled(kind, true);
        assert.equal(await other.isEnabled(kind), true);
      }
      assert.equal(await consumeBy("Projector", other, "Projector", () => undefined), 2);
    },
  },
  {
    name: "enabled/outage",
    promise:
      "When it cannot be known whether a consumer is disabled, nobody says that it is enabled, and nothing is handled.",
    tooth: failsOpen,
    check: async ({ log, states, open }) => {
      await log.append(deposit("a"));
      await states().setEnabled(ORDERS, false);
      const away = states(
        {},
        await open({}, (real) => changeRecords(real, () => ({ get: () => Promise.reject(unavailable()) }))),
      );
      await refuses("UNAVAILABLE", away.isEnabled(ORDERS));
      const calls: unknown[] = [];
      await refuses(
        "UNAVAILABLE",
        consumeBy("Projector", away, ORDERS, (event) => void calls.push(event)),
      );
      assert.deepEqual(calls, []);
    },
  },
  {
    name: "errors",
    promise:
      "The first error after a success stays as the moment since when a consumer fails; each one is counted, and the next success clears them.",
    tooth: {
      lie: "takes every error for the first one",
      adapter: (real) =>
        changeRecords(real, (records) => ({
          get: async (key, op) => {
            const stored = await records.get(key, op);
            const segments = stored?.segments.map((segment) => ({
              ...segment,
              error: segment.error && { ...segment.error, count: 1 },
            }));
            return stored && segments && { ...stored, segments };
          },
        })),
    },
    check: async ({ log, states }) => {
      const consumer = states();
      assert.equal(await consumer.getErrorState(ORDERS), undefined, "Healthy when unknown.");
      await consumer.setLastError(ORDERS, new Error("the first one"));
      const first = await consumer.getErrorState(ORDERS);
      await consumer.setLastError(ORDERS, new TypeError("the second one"));
      const second = await consumer.getErrorState(ORDERS);
      assert.deepEqual([first?.count, second?.count], [1, 2]);
      assert.deepEqual(second?.since, first?.since);
      assert.match(first?.text ?? "", /Error: the first one/);
      assert.match(second?.text ?? "", /TypeError: the second one/);
      await log.append(deposit("a"));
      assert.equal(await consumeBy("Projector", consumer, ORDERS, () => undefined), 1);
      assert.equal(await consumer.getErrorState(ORDERS), undefined);
    },
  },
  {
    name: "saga-state/none",
    promise: "`getSagaState` of what no saga has is undefined in id, version and state.",
    tooth: findsAs("finds any saga where there is none", async (reader, saga, association, op) => {
      const found = await reader.find(saga, association, op);
      return found.length > 0 ? found : everySaga(reader, saga, op);
    }),
    check: async ({ states }) => {
      const consumer = states();
      const none = { id: undefined, version: undefined, state: undefined };
      assert.deepEqual(await consumer.getSagaState(SAGA, "account", "b"), none);
      await consumer.enterExclusiveZone(ORDERS, "saga");
      await consumer.setSagaState(undefined, SAGA, STATE);
      assert.deepEqual(await consumer.getSagaState(SAGA, "account", "b"), none);
      assert.deepEqual(await consumer.getSagaState("another", "account", "a"), none);
    },
  },
  {
    name: "saga-state/set",
    promise:
      "`setSagaState` inserts without an id and updates with one; one that has ended is removed, or never inserted.",
    tooth: stateStoreThat("inserts under every id", (real) => ({
      setSagaState: (_id, saga, state, options) => real.setSagaState(undefined, saga, state, options),
    })),
    check: async ({ store, states }) => {
      const consumer = states();
      await consumer.enterExclusiveZone(ORDERS, "saga");
      const id = await consumer.setSagaState(undefined, SAGA, STATE);
      assert.deepEqual(await consumer.getSagaState(SAGA, "account", "a"), { id, version: 1, state: STATE });
      const changed = { associations: { account: "b" }, data: { changed: [null] } };
      assert.equal(await consumer.setSagaState(id, SAGA, changed), id);
      assert.deepEqual(await consumer.getSagaState(SAGA, "account", "b"), { id, version: 2, state: changed });
      assert.equal((await consumer.getSagaState(SAGA, "account", "a")).id, undefined);
      await consumer.setSagaState(undefined, SAGA, { ...STATE, ended: true });
      assert.equal((await collect(store.sagas.list(SAGA))).length, 1, "What has ended is not inserted.");
      await consumer.setSagaState(id, SAGA, { ...changed, ended: true });
      assert.deepEqual(await collect(store.sagas.list(SAGA)), []);
    },
  },
  {
    name: "saga-state/first",
    promise: "`getSagaState` is the first saga by id of those that have the association.",
    tooth: findsAs("finds the last saga first", async (reader, saga, association, op) =>
      (await reader.find(saga, association, op)).toReversed(),
    ),
    check: async ({ states }) => {
      const consumer = states();
      await consumer.enterExclusiveZone(ORDERS, "saga");
      const ids: string[] = [];
      for (const data of [1, 2, 3]) ids.push(await consumer.setSagaState(undefined, SAGA, { ...STATE, data }));
      assert.equal((await consumer.getSagaState(SAGA, "account", "a")).id, ids.toSorted()[0]);
    },
  },
  {
    name: "saga-state/unknown",
    promise: "`setSagaState` of an id that is not there is refused.",
    tooth: stateStoreThat("inserts what it cannot update", (real) => ({
      setSagaState: (id, saga, state, options) =>
        unless("INVALID_ARGUMENT", real.setSagaState(id, saga, state, options), () =>
          real.setSagaState(undefined, saga, state, options),
        ),
    })),
    check: async ({ store, states }) => {
      const consumer = states();
      await consumer.enterExclusiveZone(ORDERS, "saga");
      await refuses("INVALID_ARGUMENT", consumer.setSagaState("unknown", SAGA, STATE));
      assert.deepEqual(await collect(store.sagas.list(SAGA)), []);
    },
  },
  {
    name: "saga-state/remove",
    promise: "`removeSagaState` removes a saga, and does nothing for one that is not there.",
    tooth: onlySaysRemoved,
    check: async ({ store, states }) => {
      const consumer = states();
      await consumer.enterExclusiveZone(ORDERS, "saga");
      const id = await consumer.setSagaState(undefined, SAGA, STATE);
      await fulfils(consumer.removeSagaState("unknown", SAGA), "Removing what is not there is allowed");
      await fulfils(consumer.removeSagaState(id, "another"), "So it is for another saga's id");
      assert.equal((await collect(store.sagas.list(SAGA))).length, 1);
      await consumer.removeSagaState(id, SAGA);
      await fulfils(consumer.removeSagaState(id, SAGA), "Removing twice is allowed");
      assert.deepEqual(await collect(store.sagas.list(SAGA)), []);
    },
  },
  {
    name: "saga-state/version",
    promise: "Of two writers that have read the same version of a saga one wins, and the other is told SAGA_CONFLICT.",
    tooth: updatesAnyVersion,
    check: async ({ store, states }) => {
      const [one, other] = [states(), states()];
      await one.enterExclusiveZone("one", "saga");
      await other.enterExclusiveZone("other", "saga");
      const id = await one.setSagaState(undefined, SAGA, STATE);
      const read = await one.getSagaState<number>(SAGA, "account", "a");
      const expectedVersion = read.version;
      assert.equal(expectedVersion, 1);
      const writes = await Promise.all([
        outcome(one.setSagaState(id, SAGA, { ...STATE, data: "of one" }, { expectedVersion })),
        outcome(other.setSagaState(id, SAGA, { ...STATE, data: "of the other" }, { expectedVersion })),
      ]);
      const winners = writes.filter((write) => write === FULFILLED);
      const losers = writes.filter((write) => isTidemarkError(write, "SAGA_CONFLICT"));
      assert.deepEqual([winners.length, losers.length], [1, 1]);
      await refuses("SAGA_CONFLICT", one.removeSagaState(id, SAGA, { expectedVersion }));
      const stored = await store.sagas.get(SAGA, id);
      assert.deepEqual([stored?.version, stored?.data], [2, writes[0] === FULFILLED ? "of one" : "of the other"]);
      await other.removeSagaState(id, SAGA, { expectedVersion: 2 });
      assert.equal(await store.sagas.get(SAGA, id), undefined);
    },
  },
  {
    name: "saga-state/shared",
    promise: "Handlers find what setSagaState has written, and getSagaState what handlers have made of it.",
    tooth: stateStoreThat("writes saga states under another name", (real) => ({
      setSagaState: (id, saga, state, options) => real.setSagaState(id, `${saga} by hand`, state, options),
    })),
    check: async ({ log, states }) => {
      const consumer = states();
      await consumer.enterExclusiveZone(ORDERS, "saga");
      const id = await consumer.setSagaState(undefined, SAGA, { ...STATE, data: 100 });
      await consumer.leaveExclusiveZone(ORDERS);
      await log.append(deposit("a", 2));
      assert.equal(await consumer.consumeEventsForSaga(ORDERS, SAGA, undefined, sum), 2);
      assert.deepEqual(await consumer.getSagaState(SAGA, "account", "a"), {
        id,
        version: 3,
        state: { ...STATE, data: 103 },
      });
    },
  },
  {
    name: "serializer",
    promise: "The serializer maps saga states to JSON and back, for handlers and for those who read and write by hand.",
    tooth: stateStoreWith("leaves the serializer out", () => ({ serializer: undefined })),
    check: async ({ store, log, states }) => {
      const subjects = new Set<string>();
      const serializer: ConsumerStateStoreOptions["serializer"] = {
        toJson: (value, { kind, type }) => {
          subjects.add(`${kind} ${type}`);
          return value instanceof Map ? { entries: [...value] } : "no map";
        },
        fromJson: (json) => new Map((json as { readonly entries: readonly [string, number][] }).entries),
      };
      type Counts = Map<string, number>;
      const consumer = states({ serializer });
      await consumer.enterExclusiveZone(ORDERS, "saga");
      const state: SagaState<Counts> = { ...STATE, data: new Map([["deposits", 5]]) };
      await fulfils(consumer.setSagaState(undefined, SAGA, state), "What the serializer can map is stored");
      await consumer.leaveExclusiveZone(ORDERS);
      await log.append(deposit("a", 2));
      await consumer.consumeEventsForSaga<Counts>(ORDERS, SAGA, undefined, async (event, find) => {
        const before = (await find("account", event.aggregate.id)).state?.data.get("deposits") ?? 0;
        return { ...STATE, data: new Map([["deposits", before + 1]]) };
      });
      const found = await consumer.getSagaState<Counts>(SAGA, "account", "a");
      assert.deepEqual(found.state?.data, new Map([["deposits", 7]]));
      const [saga] = await store.sagas.find(SAGA, "account", "a");
      assert.deepEqual(saga?.data, { entries: [["deposits", 7]] }, "What is stored is what the serializer made.");
      assert.deepEqual([...subjects], [`saga-state ${SAGA}`]);
    },
  },
  {
    name: "executor",
    promise: "The executor runs every handler of an observer, and knows its aggregate.",
    tooth: stateStoreWith("leaves the executor out", () => ({ executor: undefined })),
    check: async ({ log, states }) => {
      const ran: string[] = [];
      const executor: ConsumerStateStoreOptions["executor"] = async (task, { aggregate, signal }) => {
        if (signal.aborted) return "rejected";
        await task();
        ran.push(aggregate.id);
        return undefined;
      };
      const consumer = states({ executor });
      await consumeBy("Observer", consumer, ORDERS, () => undefined);
      await log.append(deposit("a", 2));
      await log.append(deposit("b", 1));
      assert.equal(await consumeBy("Observer", consumer, ORDERS, () => undefined), 3);
      assert.deepEqual(ran.toSorted(), ["a", "a", "b"]);
    },
  },
  {
    name: "executor/rejects",
    promise: "A task that the executor rejects never runs, ends the cycle, and is offered again by the next one.",
    tooth: stateStoreWith("runs what the executor has rejected", ({ executor }) => ({
      executor: async (task, about) => {
        if ((await executor?.(task, about)) === "rejected") await task();
      },
    })),
    check: async ({ log, states }) => {
      let full = true;
      const consumer = states({
        executor: async (task) => {
          if (full) return "rejected";
          await task();
          return undefined;
        },
      });
      const seen: unknown[] = [];
      const cycle = (): Promise<number> =>
        consumeBy("Observer", consumer, ORDERS, (event) => void seen.push(amountOf(event)));
      await cycle();
      await log.append(deposit("a", 2));
      assert.equal(await cycle(), 0);
      assert.deepEqual(seen, [], "It never ran.");
      assert.deepEqual(await deadOf(consumer, ORDERS), [], "It has not failed.");
      full = false;
      assert.equal(await cycle(), 2);
      assert.deepEqual(seen, [1, 2]);
    },
  },
  {
    name: "observe",
    promise:
      "`observe` is called once for each event with consumer, kind, event, outcome and duration, and its own failure is nobody else's.",
    tooth: stateStoreWith("tells of every event twice", ({ observe }) => ({
      observe: (observation) => {
        try {
          observe?.(observation);
        } finally {
          observe?.(observation);
        }
      },
    })),
    check: async ({ log, states }) => {
      await declareAtBeginning(log, states(), KINDS);
      await log.append(deposit("a", 1));
      await log.append({ aggregate: account("b"), events: deposits(1, POISON) });
      for (const kind of KINDS) {
        const observations: Observation[] = [];
        const consumer = states({
          observe: (observation) => {
            observations.push(observation);
            throw new Error("the law's own observer fails");
          },
        });
        assert.equal(await consumeBy(kind, consumer, kind, poisoned()), 1);
        const told = observations.map((one) => [
          one.consumer,
          one.kind,
          one.event.type,
          amountOf(one.event),
          one.outcome,
        ]);
        const about = [{ name: kind, version: 1 }, kindOf(kind), "deposited"];
        const handledFirst = observations[0]?.outcome === "handled" ? told : told.toReversed();
        assert.deepEqual(
          handledFirst,
          [
            [...about, 1, "handled"],
            [...about, POISON, "parked"],
          ],
          kind,
        );
        assert.ok(observations.every(({ durationMs }) => durationMs >= 0));
        const failure = observations.find(({ outcome: became }) => became === "parked")?.error;
        assert.ok(failure instanceof Error && failure.message === "poison", "It tells why.");
      }
    },
  },
  {
    name: "consume",
    promise:
      "`consume` takes every kind of consumer, defined or plain, with the log and what else the state store was made with.",
    tooth: stateStoreThat("looks for events beside its state only, and tells nobody", (real, { store }) => ({
      consume: (consumer, options) => real.consume(consumer, { ...options, log: store, observe: undefined }),
    })),
    check: async ({ log, states }) => {
      await log.append(deposit("a", 2));
      const observations: Observation[] = [];
      const consumer = states({ observe: (observation) => void observations.push(observation) });
      const seen: unknown[] = [];
      const handle = (event: RecordedEvent): void => void seen.push(amountOf(event));
      const defined = await outcome(consumer.consume(defineProjector({ name: "defined", handle })));
      const plain = await outcome(consumer.consume({ name: "plain", handle }));
      assert.deepEqual([defined, plain], [FULFILLED, FULFILLED]);
      assert.deepEqual(seen, [1, 2, 1, 2]);
      assert.equal(observations.length, 4);
      assert.equal(await consumer.getLastEventSequenceNumber("plain"), await log.head());
    },
  },
  {
    name: "claims",
    promise:
      "`tryClaim` is true once, until release; a completed claim is never released; each consumer has claims of its own.",
    tooth: stateStoreThat("has one set of claims for all consumers", (real) => ({
      tryClaim: (_consumer, id) => real.tryClaim("all", id),
    })),
    check: async ({ states, open }) => {
      const [consumer, other] = [states(), states({}, await open())];
      const first = await Promise.all([consumer.tryClaim("a", "event"), other.tryClaim("a", "event")]);
      assert.equal(first.filter(Boolean).length, 1, "Of two one wins.");
      const [holder, loser] = first[0] ? [consumer, other] : [other, consumer];
      assert.equal(await holder.tryClaim("b", "event"), true, "Another consumer's claim is another one.");
      assert.equal(await holder.tryClaim("a", "another event"), true);
      await holder.release("a", "event");
      await fulfils(holder.release("a", "event"), "Releasing twice is allowed");
      await fulfils(holder.release("a", "unknown"), "So is releasing what was never claimed");
      assert.equal(await loser.tryClaim("a", "event"), true, "What was released can be claimed.");
      assert.equal(await holder.tryClaim("b", "event"), false, "The other consumer's claim is still there.");
      await loser.completeClaim("a", "event");
      await loser.release("a", "event");
      assert.deepEqual([await holder.tryClaim("a", "event"), await loser.tryClaim("a", "event")], [false, false]);
    },
  },
  {
    name: "claims/sweep",
    promise:
      "`sweepBefore` forgets the completed claims of one consumer that are older than a moment, and says how many.",
    tooth: stateStoreThat("sweeps without saying what", (real) => ({
      sweepBefore: async (id, time) => (await real.sweepBefore(id, time), 0),
    })),
    check: async ({ states }) => {
      const consumer = states();
      for (const event of ["1", "2", "open"]) assert.equal(await consumer.tryClaim("a", event), true);
      for (const event of ["1", "2"]) await consumer.completeClaim("a", event);
      await consumer.tryClaim("b", "1");
      await consumer.completeClaim("b", "1");
      const [longAgo, inTheFuture] = [new Date(0), new Date(Date.now() + 86_400_000)];
      assert.equal(await consumer.sweepBefore("a", longAgo), 0);
      assert.equal(await consumer.tryClaim("a", "1"), false);
      assert.equal(await consumer.sweepBefore("a", inTheFuture), 2);
      assert.equal(await consumer.tryClaim("a", "1"), true);
      assert.equal(await consumer.tryClaim("b", "1"), false, "Another consumer's claims stay.");
    },
  },
  {
    name: "list",
    promise: "`listConsumers` tells of every consumer, also of those that were only disabled or have only failed.",
    tooth: stateStoreThat("lists only consumers that were declared", (real) => ({
      listConsumers: async function* declaredOnly() {
        for await (const state of real.listConsumers()) if (state.kind !== undefined) yield state;
      },
    })),
    check: async ({ states }) => {
      const consumer = states();
      await consumer.setEnabled("disabled", false);
      await consumer.setLastError("failed", new Error("failed"));
      await consumer.enterExclusiveZone("entered");
      const listed = await collect(consumer.listConsumers());
      assert.deepEqual(
        listed.map(({ name, enabled }) => [name, enabled]),
        [
          ["disabled", false],
          ["entered", true],
          ["failed", true],
        ],
      );
    },
  },
  {
    name: "delete",
    promise:
      "`delete` forgets checkpoint, flag, errors, dead events and claims of a consumer, and may be called for none.",
    tooth: stateStoreThat("deletes nothing", () => ({ delete: async () => undefined })),
    check: async (scene) => {
      const consumer = scene.states();
      await killed(scene, "Projector", 1);
      await consumer.setEnabled("Projector", false);
      await consumer.tryClaim("Projector", "event");
      await consumer.delete("Projector");
      await fulfils(consumer.delete("Projector"), "Deleting twice is allowed");
      assert.equal(await consumer.getLastEventSequenceNumber("Projector"), undefined);
      assert.equal(await consumer.isEnabled("Projector"), true);
      assert.equal(await consumer.getErrorState("Projector"), undefined);
      assert.deepEqual(await deadOf(consumer, "Projector"), []);
      assert.equal(await consumer.tryClaim("Projector", "event"), true);
    },
  },
  {
    name: "plain/consumer",
    promise: "A plain consumer gets every event of the log, in the transaction of its checkpoint.",
    tooth: consumesPlain("gives a plain consumer one type of aggregates", () => ({ aggregateTypes: ["account"] })),
    check: async ({ store, log, consume, database }) => {
      await log.append(deposit("a", 2));
      await log.append({ aggregate: { context: "test", type: "saving", id: "b" }, events: deposits(1, 3) });
      // With a receiver, as an instance of a class has one.
      const consumer = {
        name: ORDERS,
        seen: [] as unknown[],
        async handle(event: RecordedEvent, { tx }: TransactionalContext<never>): Promise<void> {
          this.seen.push(amountOf(event));
          await database.effects.write(tx, String(amountOf(event)), "applied");
        },
      };
      const { kind } = await consume(store, consumer, { log });
      assert.equal(kind, "caught-up");
      assert.deepEqual(consumer.seen, [1, 2, 3]);
      assert.equal(await database.effects.read("3"), "applied");
      assert.equal(await store.consumers.checkpoint(ORDERS), await log.head());
    },
  },
  {
    name: "plain/scoped",
    promise:
      "A scoped consumer gets the events of its aggregate types and contexts, both where both are given; an empty list means all.",
    tooth: consumesPlain("takes an empty list for nothing", ({ aggregateTypes, contexts }) => ({
      aggregateTypes: aggregateTypes?.length === 0 ? ["none"] : aggregateTypes,
      contexts: contexts?.length === 0 ? ["none"] : contexts,
    })),
    check: async ({ store, log, consume }) => {
      let amount = 0;
      for (const context of ["default", "test"]) {
        for (const type of ["account", "saving", "loan"]) {
          amount += 1;
          await log.append({ aggregate: { context, type, id: "a" }, events: deposits(1, amount) });
        }
      }
      const seen = async (
        name: string,
        scope: { readonly aggregateTypes?: string[]; readonly contexts?: string[] },
      ): Promise<unknown[]> => {
        const amounts: unknown[] = [];
        const result = await consume(
          store,
          { name, ...scope, handle: (event: RecordedEvent) => void amounts.push(amountOf(event)) },
          { log },
        );
        assert.ok(
          result.kind === "caught-up" && result.position === (await log.head()),
          "It is at the head, whatever it got.",
        );
        return amounts;
      };
      assert.deepEqual(await seen("types", { aggregateTypes: ["account", "loan"] }), [1, 3, 4, 6]);
      assert.deepEqual(await seen("contexts", { contexts: ["test"] }), [4, 5, 6]);
      assert.deepEqual(await seen("both", { aggregateTypes: ["saving"], contexts: ["test"] }), [5]);
      assert.deepEqual(await seen("empty", { aggregateTypes: [], contexts: [] }), [1, 2, 3, 4, 5, 6]);
      assert.deepEqual(await seen("none", { aggregateTypes: ["unknown"] }), []);
    },
  },
  {
    name: "plain/stops",
    promise:
      "A plain consumer stops before an event that it cannot handle, with what stood before it committed and other consumers undisturbed.",
    tooth: consumesPlain("goes on behind what a plain consumer cannot handle", (consumer) => ({
      handle: async (event, context) => {
        try {
          await consumer.handle(event, context);
        } catch {
          // This is the lie.
        }
      },
    })),
    check: async ({ store, log, consume, database }) => {
      const { positions } = await log.append({ aggregate: account("a"), events: deposits(3, POISON - 1) });
      const poison = {
        name: ORDERS,
        handle: async (event: RecordedEvent, { tx }: TransactionalContext<never>): Promise<void> => {
          await database.effects.write(tx, String(amountOf(event)), "applied");
          await poisoned()(event);
        },
      };
      const [result, other] = await Promise.all([
        consume(store, poison, { log }),
        consume(store, { name: "another", handle: () => undefined }, { log }),
      ]);
      assert.ok(result.kind === "stopped" && result.error instanceof Error, `It stopped: ${result.kind}.`);
      assert.deepEqual([result.error.message, result.handled, result.position], ["poison", 1, positions[0]]);
      assert.equal(await database.effects.read(String(POISON - 1)), "applied");
      assert.equal(await database.effects.read(String(POISON)), undefined);
      assert.equal(await store.deadLetters.count(ORDERS), 0, "Nothing is parked.");
      assert.equal(other.kind, "caught-up");
      const seen: unknown[] = [];
      await consume(
        store,
        { name: ORDERS, handle: (event: RecordedEvent) => void seen.push(amountOf(event)) },
        { log },
      );
      assert.deepEqual(seen, [POISON, POISON + 1], "Next time it goes on with the event.");
    },
  },
];

/** These say nothing about where the events are, or are about another log themselves. */
const inOwnLog: readonly StateLaw[] = [
  {
    name: "checkpoint/disabled-first",
    promise:
      "An observer or saga that was disabled or failed before its first use starts at the head, as every new one does.",
    tooth: operates("takes a consumer that is disabled for one at the beginning", (real) => ({
      disable: async (consumer, op) => {
        const kind = consumer === "Saga" ? "saga" : "observer";
        await real.declare(consumer, { kind, start: "beginning" });
        await real.disable(consumer, op);
      },
    })),
    check: async ({ log, states }) => {
      await log.append(deposit("a", 3));
      for (const kind of ["Observer", "Saga"] as const) {
        const consumer = states();
        await consumer.setLastError(kind, new Error("failed"));
        await consumer.setEnabled(kind, false);
        await consumer.setEnabled(kind, true);
        const calls: unknown[] = [];
        assert.equal(await consumeBy(kind, consumer, kind, (event) => void calls.push(event)), 0);
        assert.deepEqual(calls, [], kind);
      }
    },
  },
  {
    name: "log/other-log-refused",
    promise: "A consumer of one log is neither entered nor consumed with the events of another.",
    tooth: stateStoreWith("looks for events beside its state only", () => ({ log: undefined })),
    check: async ({ states, another }) => {
      const elsewhere = await (await another()).open();
      await elsewhere.append(deposit("a", 2));
      const consumer = states();
      assert.equal(await consumeBy("Projector", consumer, ORDERS, () => undefined), 0);
      const misled = states({ log: elsewhere });
      const calls: unknown[] = [];
      await refuses(
        "LOG_MISMATCH",
        consumeBy("Projector", misled, ORDERS, (event) => void calls.push(event)),
      );
      await refuses("LOG_MISMATCH", misled.enterExclusiveZone(ORDERS));
      assert.equal(calls.length, 0);
      assert.equal(await consumeBy("Projector", misled, "of the other log", (event) => void calls.push(event)), 2);
    },
  },
];

export const consumerStateStoreLaws: readonly Law[] = [
  ...inAnyLog.map(onScene).map(withOwnLog),
  ...inOwnLog.map(onScene).map(withOwnLog),
  ...inAnyLog.map(onScene).map(withForeignLog),
];

/** As core's own consumers have it, with consumer state stores on top. */
function onScene({ check, ...law }: StateLaw): SceneLaw {
  return { ...law, check: (scene) => check({ ...scene, states: statesOn(scene) }) };
}

function statesOn<Tx>({ log, store: own, stateStore }: Scene<Tx>): StateScene<Tx>["states"] {
  return (options, store = own) =>
    stateStore(store, { log: log === own ? undefined : log, failure: QUICK, ...options });
}

const QUICK = { attempts: 2, minDelayMs: 1, maxDelayMs: 5 } as const;
const SAGA = "balances";
const STATE: SagaState<unknown> = { associations: { account: "a" }, data: "state" };
/** The amount that {@link poisoned} cannot handle. */
const POISON = 13;

function amountOf(event: RecordedEvent): number {
  return (event.data as { readonly amount: number }).amount;
}

/** A saga for each account, which adds up its deposits. */
async function sum(
  event: RecordedEvent,
  find: Parameters<FreeSagaHandler<unknown, number, RecordedEvent>>[1],
  _context?: unknown,
): Promise<SagaState<number>> {
  const { state } = await find("account", event.aggregate.id);
  return { associations: { account: event.aggregate.id }, data: (state?.data ?? 0) + amountOf(event) };
}

type Handle = (event: RecordedEvent) => unknown;

/** Handles every deposit but one; some of them again, when that one was in their batch. */
function poisoned(seen: Set<unknown> = new Set()): (event: RecordedEvent) => Promise<void> {
  return async (event) => {
    if (amountOf(event) === POISON) throw new Error("poison");
    seen.add(amountOf(event));
  };
}

function kindOf(kind: Kind): "projector" | "observer" | "saga" {
  return kind === "Projector" ? "projector" : kind === "Observer" ? "observer" : "saga";
}

/** One cycle by the method for this kind. */
function consumeBy<Tx>(
  kind: Kind,
  states: ConsumerStateStore<Tx>,
  id: string,
  handle: Handle,
  context?: string,
): Promise<number> {
  switch (kind) {
    case "Projector":
      return states.consumeEventsForProjector(id, "any", context, handle);
    case "Observer":
      return states.consumeEventsForObserver(id, "any", context, handle);
    case "Saga":
      return states.consumeEventsForSaga(id, SAGA, context, async (event) => void (await handle(event)));
  }
}

/** Dead events again, by the method for this kind. */
function consumeDeadBy<Tx>(kind: Kind, states: ConsumerStateStore<Tx>, id: string, handle: Handle): Promise<number> {
  switch (kind) {
    case "Projector":
      return states.consumeDeadEventsForProjector(id, "any", handle);
    case "Observer":
      return states.consumeDeadEventsForObserver(id, "any", handle);
    case "Saga":
      return states.consumeDeadEventsForSaga(id, SAGA, async (event) => void (await handle(event)));
  }
}

/** Declares consumers while the log is empty, so that those that start at the head get everything. */
async function declareAtBeginning<Tx>(
  log: Store<Tx>,
  states: ConsumerStateStore<Tx>,
  names: readonly string[],
): Promise<void> {
  assert.equal(await log.head(), START);
  for (const name of names) {
    const kind = KINDS.find((candidate) => name.startsWith(candidate));
    assert.ok(kind !== undefined);
    assert.equal(await consumeBy(kind, states, name, () => undefined), 0);
  }
}

/** A consumer, named as its kind, with dead events of as many aggregates; their positions. */
async function killed<Tx>({ log, states }: StateScene<Tx>, kind: Kind, count: number) {
  const consumer = states();
  if (kind !== "Projector")
    await consumer.getLastEventSequenceNumberSagaOrHead(kind, kind === "Saga" ? "saga" : "observer");
  const dead = [];
  for (let number = 0; number < count; number++) {
    const { positions } = await log.append({ aggregate: account(`${kind} ${number}`), events: deposits(1, POISON) });
    dead.push(...positions);
  }
  await consumeBy(kind, consumer, kind, poisoned());
  const [first, second = first, third = second] = dead;
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  assert.deepEqual(await deadOf(consumer, kind), dead, `${kind} has dead events.`);
  return [first, second, third, ...dead.slice(3)].slice(0, count) as [typeof first, typeof second, typeof third];
}

async function deadOf<Tx>(states: ConsumerStateStore<Tx>, id: string): Promise<readonly unknown[]> {
  return (await collect(states.getDeadEvents(id))).map(({ event }) => event.position);
}

/** What `call` comes to, also when it throws at once. */
function inTurn<T>(call: () => Promise<T>): Promise<T> {
  return Promise.resolve().then(call);
}

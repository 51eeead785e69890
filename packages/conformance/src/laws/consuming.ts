import {
  type AppendRequest,
  type ConsumeResult,
  defineProjector,
  type ConsumerKind,
  type EventSource,
  type Expected,
  type TransactionalContext,
  isTidemarkError,
  type Projector,
  type RecordedEvent,
  type Store,
  TidemarkError,
  TransientError,
} from "@tidemark/core";
import { declare, enter, inherit, ORDERS, threeSteps } from "../consumers.ts";
import { account, deposit } from "../events.ts";
import { assert, collect, eventually, FULFILLED, fulfils, type Gate, gate, outcome, refuses, turn } from "../expect.ts";
import { changeRecords, CRASH_STEPS, crashingAt, unavailable, unaware, vanishing } from "../faults.ts";
import { type Law, override } from "../law.ts";
import {
  commitsAs,
  consumesAs,
  consumesWith,
  forgetsFailures,
  forgivesEnding,
  givesContext,
  handlesAs,
  handlesTwice,
  ignoresFlag,
  lingers,
  misjudges,
  sharesEvents,
  takesItsTime,
} from "../lies/consuming.ts";
import {
  checkpointsAfterwards,
  commitsWhatFailed,
  fencesNothing,
  ignoresPosition,
  ignoresToken,
  letsEveryoneIn,
  operates,
  unless,
} from "../lies/zones.ts";
import { applied, apply, applyFor, batchProjector, type Deposit, isAmount, projector } from "../projectors.ts";
import { lawsAbout, type Scene, type SceneLaw } from "../scene.ts";

const { withOwnLog, withForeignLog } = lawsAbout("consuming");

/** These hold with the events beside the state, and with the events in another log. */
const inAnyLog: readonly SceneLaw[] = [
  {
    name: "projector/starts-at-zero",
    promise: "A projector starts at the beginning of the log.",
    tooth: consumesAs("starts a projector at the head", () => ({ start: "head" })),
    check: async ({ store, log, run }) => {
      await log.append(deposit("a", 3));
      await run(projector(apply));
      assert.deepEqual(await applied(store), [1, 2, 3]);
    },
  },
  startsAtHead("observer"),
  startsAtHead("saga"),
  {
    name: "start/since",
    promise:
      "A projector that starts since a moment gets the first event that occurred then or later, and all after it.",
    tooth: consumesAs("starts every projector at the beginning", () => ({ start: "beginning" })),
    check: async ({ store, log, run }) => {
      const days = [1, 2, 3].map((day) => new Date(Date.UTC(2026, 0, day)));
      const events = days.map((occurredOn, index) => ({ type: "deposited", data: { amount: index + 1 }, occurredOn }));
      await log.append({ aggregate: account("a"), events });
      await run(projector(apply, { start: { since: new Date(Date.UTC(2026, 0, 1, 12)) } }));
      assert.deepEqual(await applied(store), [2, 3]);
    },
  },
  {
    name: "start/lost-race",
    promise: "Who loses the race of a first start goes on from where the winner has put the consumer.",
    tooth: {
      lie: "lets the last one of a race win",
      adapter: (real) =>
        changeRecords(real, (records) => ({
          declare: async (declaration, op) => {
            await records.declare(declaration, op);
            await records.reset(declaration.key, declaration.position, op);
            return records.declare(declaration, op);
          },
        })),
    },
    check: async ({ store, log, run, open }) => {
      await log.append(deposit("a", 3));
      // The loser has looked and found nothing when the winner declares.
      const loser = await open({}, (real) =>
        changeRecords(real, (records) => ({
          declare: async (declaration, op) => {
            await declare(store, ORDERS, { start: "beginning", log });
            return records.declare(declaration, op);
          },
        })),
      );
      await run(projector(apply, { start: "head" }), {}, loser);
      assert.deepEqual(await applied(store), [1, 2, 3]);
    },
  },
  {
    name: "busy",
    promise: "When the zone is taken nothing is handled or touched, and the result says so.",
    tooth: letsEveryoneIn,
    check: async ({ store, log, run, open }) => {
      await log.append(deposit("a", 3));
      await declare(store, ORDERS, { log });
      await enter(store, ORDERS, { log });
      const before = await store.consumers.get(ORDERS);
      assert.deepEqual(await run(projector(apply), {}, await open()), { kind: "busy" });
      assert.deepEqual(await applied(store), [], "Nothing is handled.");
      assert.deepEqual(await store.consumers.get(ORDERS), before, "Nothing is touched.");
    },
  },
  {
    name: "order",
    promise: "Handlers get events by rising position, and those of each aggregate by rising version.",
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
    check: async ({ log, run }) => {
      for (const count of [1, 2, 3]) await log.appendAll([deposit("a", count), deposit("b", 2)]);
      const seen: RecordedEvent[] = [];
      const result = await run(
        projector((event) => void seen.push(event)),
        { fetchSize: 4 },
      );
      assert.deepEqual([result.kind, seen.length], ["caught-up", 12]);
      assert.deepEqual(
        seen,
        seen.toSorted((a, b) => (a.position < b.position ? -1 : 1)),
        "Positions rise.",
      );
      for (const id of ["a", "b"]) {
        const versions = seen.filter(({ aggregate }) => aggregate.id === id).map(({ version }) => version);
        assert.deepEqual(versions, [1, 2, 3, 4, 5, 6], `Versions of ${id} rise by one.`);
      }
    },
  },
  {
    name: "once",
    promise: "The effect of every event is there exactly once, over all batches and cycles.",
    tooth: handlesTwice,
    check: async ({ store, log, run, open }) => {
      await log.append(deposit("a", 5));
      const first = await run(projector(apply), { fetchSize: 2 });
      assert.deepEqual([first.kind, handledBy(first)], ["caught-up", 5]);
      assert.equal(handledBy(await run(projector(apply), {}, await open())), 0, "There is nothing new.");
      await log.append({ aggregate: account("a"), events: [{ type: "deposited", data: { amount: 6 } }] });
      assert.equal(handledBy(await run(projector(apply), { fetchSize: 2 })), 1, "A later cycle handles what is new.");
      assert.deepEqual(await applied(store), [1, 2, 3, 4, 5, 6]);
    },
  },
  {
    name: "caught-up",
    promise:
      "A cycle that has caught up leaves the checkpoint at the head, also when nothing in the log was meant for it.",
    tooth: {
      lie: "forgets how far it has looked in vain",
      adapter: (real) =>
        override(real, () => ({
          readAll: async (query, op) => {
            const page = await real.readAll(query, op);
            return page.events.length === 0 ? { ...page, next: query.after } : page;
          },
        })),
    },
    check: async ({ store, log, run }) => {
      await log.append({ aggregate: account("a"), events: [{ type: "closed", data: null }] });
      const head = await log.head();
      assert.deepEqual(await run(projector(apply)), { kind: "caught-up", handled: 0, position: head });
      assert.equal(await store.consumers.checkpoint(ORDERS), head);
    },
  },
  {
    name: "limit",
    promise: "A cycle handles at most as many events as it is told to, and the next one goes on behind them.",
    tooth: consumesWith("handles everything there is", { maxEvents: undefined }),
    check: async ({ store, log, run }) => {
      await log.append(deposit("a", 5));
      const limited = await run(projector(apply), { maxEvents: 2 });
      assert.deepEqual([limited.kind, handledBy(limited)], ["limit", 2]);
      assert.deepEqual(await applied(store), [1, 2]);
      await run(projector(apply));
      assert.deepEqual(await applied(store), [1, 2, 3, 4, 5]);
    },
  },
  {
    name: "scope",
    promise: "A projector gets exactly the events of its scope.",
    tooth: consumesAs("hands everything over", () => ({ scope: {} })),
    check: async ({ log, run }) => {
      const deposited = { type: "deposited", data: null };
      const { positions } = await log.append({ aggregate: account("a"), events: [deposited] });
      await log.append({ aggregate: account("a"), events: [{ type: "closed", data: null }] });
      await log.append({ aggregate: { type: "saving", id: "a" }, events: [deposited] });
      await log.append({ aggregate: { context: "test", ...account("a") }, events: [deposited] });
      const seen: unknown[] = [];
      const scope = { contexts: ["default"], aggregateTypes: ["account"], eventTypes: ["deposited"] };
      await run(defineProjector({ name: ORDERS, scope, handle: (event) => void seen.push(event.position) }));
      assert.deepEqual(seen, positions);
    },
  },
  {
    name: "handlers",
    promise: "Each handler of a projector gets the events of its type, and no others.",
    tooth: handlesAs(
      "takes every event for a deposit",
      (handle) => (event, context) => handle({ ...event, type: "deposited" }, context),
    ),
    check: async ({ log, run }) => {
      const types = ["deposited", "withdrawn", "closed", "deposited"];
      await log.append({ aggregate: account("a"), events: types.map((type) => ({ type, data: null })) });
      const seen: string[] = [];
      const handlers = {
        deposited: () => void seen.push("deposited"),
        withdrawn: () => void seen.push("withdrawn"),
      };
      await run(defineProjector<unknown, { deposited: null; withdrawn: null }>({ name: ORDERS, handlers }));
      assert.deepEqual(seen, ["deposited", "withdrawn", "deposited"]);
    },
  },
  {
    name: "batch/one-transaction",
    promise: "The events of a batch are handled in one transaction, and those of the next batch in another one.",
    tooth: consumesWith("uses a transaction for each event", { fetchSize: 1 }),
    check: async ({ log, run }) => {
      await log.append(deposit("a", 4));
      const transactions: unknown[] = [];
      await run(
        projector((_event, { tx }) => void transactions.push(tx)),
        { fetchSize: 2 },
      );
      const [first, second, third, fourth] = transactions;
      assert.ok(first === second && third === fourth, "Two events of a batch share a transaction.");
      assert.ok(second !== third, "Two batches do not.");
    },
  },
  {
    name: "batch/handle-batch",
    promise: "A batch handler gets each event once, in order, in the transaction of the checkpoint.",
    tooth: consumesAs("hands the last event of a batch over twice", ({ handler }) => ({
      handler:
        handler.kind === "each"
          ? handler
          : { kind: "batch", handle: (events, context) => handler.handle([...events, ...events.slice(-1)], context) },
    })),
    check: async ({ store, log, run }) => {
      await log.append(deposit("a", 5));
      const sizes: number[] = [];
      await run(
        batchProjector((events) => void sizes.push(events.length)),
        { fetchSize: 2 },
      );
      assert.deepEqual(await applied(store), [1, 2, 3, 4, 5]);
      assert.ok(
        sizes.every((size) => size <= 2),
        `No batch is larger than the fetch size: ${sizes.join(", ")}.`,
      );
    },
  },
  {
    name: "poison/neighbours",
    promise: "An event that fails neither undoes nor repeats the effects of its neighbours.",
    tooth: commitsWhatFailed,
    check: async ({ store, log, run }) => {
      await log.append(deposit("a", 5));
      await run(projector(poisonedBy(3), { failure: { attempts: 2, then: "skip" } }));
      assert.deepEqual(await applied(store), [1, 2, 4, 5]);
    },
  },
  {
    name: "poison/handle-batch",
    promise: "When a batch handler fails, only the events that it fails for alone count as failed.",
    tooth: commitsWhatFailed,
    check: async ({ store, log, run }) => {
      await log.append(deposit("a", 7));
      const poisoned = batchProjector((events) => {
        if (events.some((event) => isAmount(event, 3))) throw new Error("poison");
      });
      await run(poisoned);
      assert.deepEqual(await applied(store), [1, 2, 4, 5, 6, 7]);
    },
  },
  {
    name: "poison/attempts",
    promise: "The handler of an event that fails runs as often as the policy says.",
    tooth: consumesAs("tries once more", ({ failure }) => ({
      failure: { ...failure, attempts: failure.attempts + 1 },
    })),
    check: async ({ log, run }) => {
      await log.append(deposit("a", 3));
      let attempts = 0;
      const failing = (event: Deposit): void => {
        if (!isAmount(event, 2)) return;
        attempts += 1;
        throw new Error("poison");
      };
      await run(projector(failing, { failure: { attempts: 3, then: "skip" } }));
      assert.equal(attempts, 3);
    },
  },
  {
    name: "poison/policy-stop",
    promise:
      "Under the policy stop a consumer ends before the event that fails, says why, and goes on there next time.",
    tooth: consumesAs("skips under every policy", ({ failure }) => ({ failure: { ...failure, then: "skip" } })),
    check: async ({ store, log, run }) => {
      const { positions } = await log.append(deposit("a", 5));
      const poison = poisonedBy(3);
      const result = await run(projector(poison, { failure: { attempts: 2 } }));
      assert.equal(result.kind, "stopped");
      assert.equal(result.error, poison.error, "The error is that of the handler.");
      assert.deepEqual([handledBy(result), result.position], [2, positions[1]], "It stands before the event.");
      assert.equal(await store.consumers.checkpoint(ORDERS), positions[1]);
      assert.deepEqual(await applied(store), [1, 2]);
      await run(projector(apply));
      assert.deepEqual(await applied(store), [1, 2, 3, 4, 5], "Next time it goes on with the event.");
    },
  },
  {
    name: "poison/policy-skip",
    promise: "Under the policy skip a consumer goes on behind the event that fails.",
    tooth: consumesAs("stops under every policy", ({ failure }) => ({ failure: { ...failure, then: "stop" } })),
    check: async ({ store, log, run }) => {
      await log.append(deposit("a", 3));
      const result = await run(projector(poisonedBy(3), { failure: { attempts: 2, then: "skip" } }));
      assert.deepEqual([result.kind, handledBy(result)], ["caught-up", 2]);
      assert.equal(handledBy(await run(projector(apply))), 0, "The event is behind it for good.");
      assert.deepEqual(await applied(store), [1, 2]);
    },
  },
  {
    name: "poison/odd-throw",
    promise: "A handler may throw anything at all: it is a failure like another.",
    tooth: consumesAs("stops under every policy", ({ failure }) => ({ failure: { ...failure, then: "stop" } })),
    check: async ({ store, log, run }) => {
      const odd: readonly unknown[] = [Object.create(null), undefined, Symbol("odd"), new Error("x".repeat(1_000_000))];
      await log.append(deposit("a", odd.length));
      const throwing = projector(
        ({ data }) => {
          throw odd[data.amount - 1];
        },
        { failure: { attempts: 1, then: "skip" } },
      );
      assert.equal((await fulfils(run(throwing), "What is thrown is no reason to reject")).kind, "caught-up");
      const [segment] = (await store.consumers.get(ORDERS))?.segments ?? [];
      assert.equal(segment?.error?.count, odd.length);
      assert.ok((segment?.error?.text.length ?? 0) < 20_000, "What is stored of an error is bounded.");
    },
  },
  {
    name: "handler/given-up",
    promise:
      "When a batch is given up for its time, no further handler of it begins, and its retry waits for the last one.",
    tooth: handlesTwice,
    check: async ({ open, log, run }) => {
      await log.append(deposit("a", 2));
      const calls: number[] = [];
      let [active, most, late] = [0, 0, 0];
      const slowAtFirst = async ({ data }: Deposit, { signal }: { readonly signal: AbortSignal }): Promise<void> => {
        active += 1;
        most = Math.max(most, active);
        if (signal.aborted) late += 1;
        calls.push(data.amount);
        if (calls.length === 1) {
          await eventually("The batch is given up", () => signal.aborted);
          await turn(300);
        }
        active -= 1;
      };
      // On a busy machine a retry may be given up as well.
      const patient = projector<unknown>(slowAtFirst, { failure: { attempts: 20 } });
      const result = await run(patient, {}, await open({ maxTransactionMs: 1_000 }));
      assert.equal(result.kind, "caught-up");
      assert.equal(late, 0, "No handler begins in a batch that was given up.");
      assert.equal(most, 1, "No two handlers run side by side.");
      assert.deepEqual([calls[0], calls[1], calls.at(-1)], [1, 1, 2], "It begins again with the first event.");
    },
  },
  {
    name: "poison/error-state",
    promise: "Failures of handlers are recorded with the consumer, and its next success clears them.",
    tooth: {
      lie: "records no errors",
      adapter: (real) => changeRecords(real, () => ({ recordError: async () => undefined })),
    },
    check: async ({ store, log, run }) => {
      await log.append(deposit("a", 3));
      await run(projector(poisonedBy(1), { failure: { attempts: 3 } }));
      const [ill] = (await store.consumers.get(ORDERS))?.segments ?? [];
      assert.equal(ill?.error?.count, 3, "Each failure since the last success is counted.");
      assert.match(ill?.error?.text ?? "", /poison/);
      await run(projector(apply));
      const [well] = (await store.consumers.get(ORDERS))?.segments ?? [];
      assert.equal(well?.error, undefined, "The next success clears it.");
    },
  },
  {
    name: "transient/handler",
    promise: "A handler that says that its failure is transient is called again, and it never counts as a failure.",
    tooth: misjudges("takes a transient failure for a final one", () => new Error("no luck")),
    check: (scene) => assertWaitsOut(scene, () => new TransientError("not yet")),
  },
  {
    name: "transient/wrapped",
    promise: "A transient failure is recognised also as the cause of another error.",
    tooth: misjudges("forgets the cause of an error", (error) =>
      error instanceof Error ? new Error(error.message) : error,
    ),
    check: (scene) =>
      assertWaitsOut(scene, () => new Error("query failed", { cause: new Error("wrapped", { cause: unavailable() }) })),
  },
  {
    name: "transient/own-statements",
    promise:
      "A lost connection, a deadlock and a lock that is not had are waited out, and never count as a failure of the event.",
    tooth: commitsAs("takes a lost connection for the handler's failure", (zone) => ({
      commit: (work, options) =>
        unless("UNAVAILABLE", zone.commit(work, options), () => Promise.reject(new Error("no luck"))),
    })),
    check: async ({ store, log, run, open }) => {
      await log.append(deposit("a", 3));
      const troubles = [
        unavailable(),
        new TidemarkError("CONTENTION", "The law says that this is a deadlock.", { adapter: "conformance" }),
        new TidemarkError("BUSY", "The law says that the lock was not had.", { adapter: "conformance", waitedMs: 1 }),
      ];
      const shaky = await open({}, (real) =>
        crashingAt(real, "after-fence", () => {
          const trouble = troubles.shift();
          if (trouble !== undefined) throw trouble;
        }),
      );
      const result = await run(projector(apply, { failure: { attempts: 1, then: "skip" } }), { fetchSize: 1 }, shaky);
      assert.deepEqual([result.kind, handledBy(result)], ["caught-up", 3]);
      assert.deepEqual(await applied(store), [1, 2, 3]);
      assert.equal((await store.consumers.get(ORDERS))?.segments[0]?.error, undefined, "It is no error.");
    },
  },
  {
    name: "transient/lost-ack",
    promise: "A commit whose acknowledgement was lost is never applied a second time.",
    tooth: ignoresPosition,
    check: async ({ store, log, run, open }) => {
      await log.append(deposit("a", 5));
      let losses = 0;
      const shaky = await open({}, (real) =>
        crashingAt(real, "after-commit", () => {
          losses += 1;
          if (losses % 2 === 1 && losses < 6) throw unavailable();
        }),
      );
      await eventually("It gets to the end", async () => {
        const result = await run(projector(apply), { fetchSize: 2 }, shaky);
        return result.kind === "caught-up";
      });
      assert.deepEqual(await applied(store), [1, 2, 3, 4, 5]);
    },
  },
  {
    name: "transient/own-timeout",
    promise: "A timeout of the handler's own counts against the budget of the event.",
    tooth: handlesAs("waits a timeout out three times before it counts one", (handle) => {
      let mercies = 3;
      return async (event, context) => {
        try {
          await handle(event, context);
        } catch (error) {
          mercies -= 1;
          throw mercies >= 0 ? new TransientError("once more") : error;
        }
      };
    }),
    check: async ({ log, run }) => {
      await log.append(deposit("a", 1));
      let attempts = 0;
      const slow = (): void => {
        attempts += 1;
        throw Object.assign(new Error("The operation timed out"), { name: "TimeoutError", code: "ETIMEDOUT" });
      };
      const result = await run(projector(slow, { failure: { attempts: 2 } }));
      assert.deepEqual([result.kind, attempts], ["stopped", 2]);
    },
  },
  {
    name: "disabled/stops-before-next",
    promise:
      "A consumer that is disabled in its own process stops before its next event; what it has handled is committed.",
    tooth: ignoresFlag,
    check: async ({ store, log, run }) => {
      const { positions } = await log.append(deposit("a", 3));
      const { handling, held, handle } = heldAtFirst();
      const cycle = run(projector(handle));
      await Promise.race([handling.passed, cycle]);
      // Where the transaction keeps other writes out, the record follows after it; the process knows at once.
      const disabled = store.consumers.disable(ORDERS);
      held.open();
      await disabled;
      assert.deepEqual(await cycle, { kind: "disabled", handled: 1, position: positions[0] });
      assert.deepEqual(await applied(store), [1]);
    },
  },
  {
    name: "disabled/elsewhere",
    promise: "A consumer that is disabled by another client stops before its next batch.",
    tooth: ignoresFlag,
    check: async ({ store, log, run, open }) => {
      await log.append(deposit("a", 4));
      const operator = await open();
      const source = beforePage(log, 2, () => operator.consumers.disable(ORDERS));
      const result = await run(projector(apply), { fetchSize: 1, log: source });
      assert.deepEqual([result.kind, handledBy(result)], ["disabled", 2], "The batch under way was its last one.");
      assert.deepEqual(await applied(store), [1, 2]);
    },
  },
  {
    name: "disabled/stays",
    promise: "A disabled consumer handles nothing until it is enabled again, and then goes on where it was.",
    tooth: ignoresFlag,
    check: async ({ store, log, run }) => {
      await log.append(deposit("a", 3));
      await run(projector(apply), { maxEvents: 1 });
      await store.consumers.disable(ORDERS);
      const result = await run(projector(apply));
      assert.deepEqual([result.kind, handledBy(result)], ["disabled", 0]);
      await store.consumers.enable(ORDERS);
      await run(projector(apply));
      assert.deepEqual(await applied(store), [1, 2, 3]);
    },
  },
  {
    name: "drain",
    promise: "A cycle that is told to stop lets the running handler finish, commits it, and loses and repeats nothing.",
    tooth: commitsAs("rolls the running handler back when it is told to stop", (zone, { signal }) => ({
      commit: (work, options) => zone.commit(work, { ...options, signal }),
    })),
    check: async ({ store, log, run }) => {
      const { positions } = await log.append(deposit("a", 3));
      const stop = new AbortController();
      const { handling, held, handle } = heldAtFirst();
      const cycle = run(projector(handle), { signal: stop.signal });
      await Promise.race([handling.passed, cycle]);
      stop.abort();
      held.open();
      assert.deepEqual(await cycle, { kind: "aborted", handled: 1, position: positions[0] });
      await fulfils(
        enter(store, ORDERS, { log }).then((zone) => zone.leave()),
        "Its zone is free",
      );
      await run(projector(apply));
      assert.deepEqual(await applied(store), [1, 2, 3]);
    },
  },
  {
    name: "zone-lost",
    promise: "A consumer whose zone was taken over commits nothing more, and its heir repeats nothing.",
    tooth: ignoresToken,
    check: async ({ store, log, run, open }) => {
      await log.append(deposit("a", 3));
      const stale = await open({}, unaware);
      const source = beforePage(log, 2, async () => {
        await (await inherit(store, ORDERS, { log })).leave();
      });
      const result = await run(projector(apply), { fetchSize: 1, leaseMs: 1, log: source }, stale);
      assert.deepEqual([result.kind, handledBy(result)], ["zone-lost", 1]);
      assert.deepEqual(await applied(store), [1]);
      await run(projector(apply));
      assert.deepEqual(await applied(store), [1, 2, 3]);
    },
  },
  detectsEnding("commit"),
  detectsEnding("rollback"),
  {
    name: "handler/swallowed-error",
    promise:
      "When a handler catches the error of a statement and returns, its effects and the checkpoint are both there or both absent.",
    tooth: fencesNothing,
    check: async <Tx>({ store, log, run, database }: Scene<Tx>) => {
      await log.append(deposit("a", 1));
      const careless = async (event: Deposit, context: TransactionalContext<Tx>): Promise<void> => {
        await database.effects.write(context.tx, "before", "written");
        await outcome(database.effects.fail(context.tx));
        await outcome(apply(event, context));
      };
      await run(projector(careless, { failure: { attempts: 1 } }));
      const committed = (await store.consumers.checkpoint(ORDERS)) !== undefined;
      assert.equal(
        await database.effects.read("before"),
        committed ? "written" : undefined,
        "The row and the checkpoint.",
      );
      assert.deepEqual(await applied(store), committed ? [1] : [], "The event and the checkpoint.");
    },
  },
  {
    name: "handler/too-long",
    promise: "A batch that takes longer than a transaction may is told so by its signal, and does not count.",
    tooth: takesItsTime,
    check: async ({ store, log, run, open }) => {
      await log.append(deposit("a", 1));
      const hasty = await open({ maxTransactionMs: 50 });
      const slow = projector<unknown>(
        async (event, context) => {
          await apply(event, context);
          await eventually("The signal of the context fires", () => context.signal.aborted);
        },
        { failure: { attempts: 1 } },
      );
      const result = await run(slow, {}, hasty);
      assert.equal(result.kind, "stopped");
      assert.ok(isTidemarkError(result.error, "TRANSACTION_TIMEOUT"), "The error tells why.");
      assert.deepEqual(await applied(store), []);
    },
  },
  {
    name: "handler/late-store",
    promise: "The store that a handler was given refuses everything once its batch is over.",
    tooth: givesContext("gives handlers the store itself", ({ context, store }) => ({ ...context, store })),
    check: async ({ log, run }) => {
      await log.append(deposit("a", 1));
      const kept: TransactionalContext<unknown>[] = [];
      await run(projector((_event, context) => void kept.push(context)));
      const [context] = kept;
      assert.ok(context !== undefined);
      await refuses("TRANSACTION_ENDED", context.store.append(deposit("late")));
      await refuses("TRANSACTION_ENDED", readLate(context));
    },
  },
  {
    name: "handler/late-append",
    promise: "An append that a handler asks for once its batch is over is refused, not forgotten.",
    tooth: givesContext("forgets what it cannot append", ({ context }) => ({
      ...context,
      append: (request) => {
        try {
          context.append(request);
        } catch {
          // This is the lie.
        }
      },
    })),
    check: async ({ log, run }) => {
      await log.append(deposit("a", 1));
      const kept: TransactionalContext<unknown>[] = [];
      await run(projector((_event, context) => void kept.push(context)));
      const late = Promise.all(kept.map(async (context) => context.append(deposit("late"))));
      await refuses("TRANSACTION_ENDED", late);
    },
  },
  {
    name: "handler/event-immutable",
    promise: "What a handler does to its event is seen by no other handler and by no later attempt.",
    tooth: sharesEvents,
    check: async ({ log, run }) => {
      await log.append(deposit("a", 1));
      const seen: number[] = [];
      const careless = (event: Deposit): void => {
        seen.push(event.data.amount);
        // Frozen or not, all the same.
        Reflect.set(event.data, "amount", 99);
        if (seen.length === 1) throw new Error("the first attempt fails");
      };
      await run(projector(careless));
      await run(projector(careless, { name: "another" }));
      assert.deepEqual(seen, [1, 1, 1]);
    },
  },
  {
    name: "handler/live",
    promise: "A consumer that is no rebuild tells its handlers that it is live.",
    tooth: givesContext("takes every cycle for a rebuild", ({ context }) => ({ ...context, live: false })),
    check: async ({ log, run }) => {
      await log.append(deposit("a", 1));
      const live: boolean[] = [];
      await run(projector((_event, context) => void live.push(context.live)));
      assert.deepEqual(live, [true]);
    },
  },
  {
    name: "handler-appends/with-checkpoint",
    promise: "What handlers append is committed with the checkpoint, in the order in which they asked for it.",
    tooth: givesContext("forgets what handlers append", ({ context }) => ({ ...context, append: () => undefined })),
    check: async ({ store, log, run }) => {
      await log.append(deposit("a", 3));
      await run(projector((event, { append }) => append(reaction(event))));
      assert.deepEqual(await reactions(store), [1, 2, 3]);
    },
  },
  {
    name: "handler-appends/failed-batch",
    promise: "What a handler appends before it fails is not appended.",
    tooth: handlesAs("appends later what a handler asked for before it failed", (handle) => {
      const asked: AppendRequest[] = [];
      return async (event, context) => {
        await handle(event, { ...context, append: (request) => void asked.push(request) });
        for (const request of asked.splice(0)) context.append(request);
      };
    }),
    check: async ({ store, log, run }) => {
      await log.append(deposit("a", 2));
      const failing = projector<unknown>(
        (event, { append }) => {
          append(reaction(event));
          if (isAmount(event, 2)) throw new Error("poison");
        },
        { failure: { attempts: 2, then: "skip" } },
      );
      await run(failing);
      assert.deepEqual(await reactions(store), [1]);
    },
  },
  {
    name: "handler-appends/refused",
    promise: "When what a handler appends is refused, its event fails, and only its event.",
    tooth: givesContext("appends whatever the expected version is", ({ context }) => ({
      ...context,
      append: (request) => context.append({ ...request, expected: "any" }),
    })),
    check: async ({ store, log, run }) => {
      await log.append(deposit("a", 4));
      const reacting = projector<unknown>(
        async (event, context) => {
          await apply(event, context);
          context.append(reaction(event, isAmount(event, 3) ? "none" : "any"));
        },
        { failure: { attempts: 2, then: "skip" } },
      );
      const result = await run(reacting);
      assert.deepEqual([result.kind, handledBy(result)], ["caught-up", 3]);
      assert.deepEqual(await reactions(store), [1, 2, 4]);
      assert.deepEqual(await applied(store), [1, 2, 4]);
    },
  },
  {
    name: "handler-appends/invalid",
    promise: "What a handler appends is checked when it asks for it.",
    tooth: givesContext("checks nothing that handlers append", ({ context }) => ({
      ...context,
      append: (request) => {
        if (request.events.length > 0) context.append(request);
      },
    })),
    check: async ({ log, run }) => {
      await log.append(deposit("a", 1));
      const errors: unknown[] = [];
      const careless = projector<unknown>(async (_event, { append }) => {
        errors.push(await outcome(Promise.resolve().then(() => append({ aggregate: account("b"), events: [] }))));
      });
      await run(careless);
      assert.ok(isTidemarkError(errors[0], "INVALID_ARGUMENT"), "The handler is told at once.");
    },
  },
  {
    name: "resume",
    promise:
      "Wherever a consuming process is killed, every event's effect is there exactly once after it was started again.",
    when: { shared: true },
    tooth: checkpointsAfterwards,
    check: async ({ store, log, run, spawn, elsewhere }) => {
      await log.append(deposit("a", 6));
      for (const step of CRASH_STEPS) {
        const child = await spawn("consuming/die", { step, config: elsewhere?.process?.config });
        assert.equal(await child.gone(), "SIGKILL", `The process was killed ${step}.`);
        await eventually("Its zone can be entered", async () => {
          const { kind } = await run(projector(applyFor(step), { name: step }), { fetchSize: 2 });
          return kind !== "busy";
        });
        assert.deepEqual(await applied(store, step), [1, 2, 3, 4, 5, 6], `Killed ${step}.`);
      }
    },
  },
  {
    name: "resume/vanished",
    promise: "Wherever a consumer vanishes, every event's effect is there exactly once after another one has gone on.",
    tooth: checkpointsAfterwards,
    check: async ({ store, log, run, open }) => {
      await log.append(deposit("a", 6));
      for (const step of CRASH_STEPS) {
        const vanish = new AbortController();
        let armed = false;
        const crash = (): void => {
          if (!armed) return;
          vanish.abort();
          throw unavailable();
        };
        const victim = await open({}, (real) => crashingAt(vanishing(real), step, crash));
        const handle = async (event: Deposit, context: TransactionalContext<unknown>): Promise<void> => {
          armed ||= isAmount(event, 4);
          if (step === "before-handler") crash();
          await applyFor(step)(event, context);
          if (step === "after-effect") crash();
        };
        await run(projector(handle, { name: step }), { fetchSize: 2, leaseMs: 1, signal: vanish.signal }, victim);
        assert.ok(vanish.signal.aborted, `It vanished ${step}.`);
        await eventually("Its zone can be entered", async () => {
          const { kind } = await run(projector(applyFor(step), { name: step }), { fetchSize: 2 });
          return kind !== "busy";
        });
        assert.deepEqual(await applied(store, step), [1, 2, 3, 4, 5, 6], `Vanished ${step}.`);
      }
    },
  },
  {
    name: "several-processes",
    promise: "Several processes that run the same projector never apply an event twice, and together apply all.",
    when: { shared: true },
    tooth: fencesNothing,
    check: async ({ store, log, spawn, elsewhere }) => {
      const amounts = Array.from({ length: 40 }, (_, index) => index + 1);
      await log.append(deposit("a", amounts.length));
      const args = { config: elsewhere?.process?.config, until: (await log.head()).toString() };
      const children = await Promise.all([1, 2, 3].map(() => spawn("consuming/share", args)));
      await Promise.all(children.map((child) => child.hear("ready")));
      for (const child of children) child.say("go");
      await Promise.all(children.map((child) => child.result()));
      assert.deepEqual(await applied(store), amounts);
    },
  },
];

/** These say nothing about where the events are, or take too long to be said twice. */
const inOwnLog: readonly SceneLaw[] = [
  {
    name: "transient/lasting",
    promise: "When a transient failure lasts, the cycle ends with it, and the checkpoint stays before the event.",
    tooth: forgetsFailures,
    check: async ({ store, log, run }) => {
      const { positions } = await log.append(deposit("a", 2));
      const failing = projector<unknown>(async (event, context) => {
        if (isAmount(event, 2)) throw new TransientError("not today");
        await apply(event, context);
      });
      await refuses("TRANSIENT", run(failing, { fetchSize: 1 }));
      assert.equal(await store.consumers.checkpoint(ORDERS), positions[0]);
      assert.deepEqual(await applied(store), [1]);
    },
  },
  {
    name: "handler/ddl",
    promise: "A table that a handler makes is there with its checkpoint, and gone with a batch that fails.",
    when: { transactionalDdl: true },
    tooth: commitsWhatFailed,
    check: async <Tx>({ store, run, database: { effects } }: Scene<Tx>) => {
      await store.append(deposit("a"));
      const making = (table: string, fails: boolean): Projector<Tx> =>
        projector<Tx>(
          async (_event, { tx }) => {
            await effects.define(tx, table);
            if (fails) throw new Error("poison");
          },
          { failure: { attempts: 1 } },
        );
      assert.equal((await run(making("failed", true))).kind, "stopped");
      assert.equal(await effects.defined("failed"), false, "The table went with its batch.");
      assert.equal((await run(making("made", false))).kind, "caught-up");
      assert.equal(await effects.defined("made"), true);
    },
  },
  {
    name: "handler/ddl-commits",
    promise:
      "A handler that makes a table, by which its transaction is committed, is detected, and its batch does not count.",
    when: { transactionalDdl: false },
    tooth: forgivesEnding,
    check: async <Tx>({ store, run, database: { effects } }: Scene<Tx>) => {
      await store.append(deposit("a"));
      let runs = 0;
      const making = projector<Tx>(
        async (_event, { tx }) => {
          runs += 1;
          await effects.write(tx, "before", "committed with the table");
          await effects.define(tx, "made");
        },
        { failure: { attempts: 3, then: "skip" } },
      );
      const result = await run(making);
      assert.equal(result.kind, "stopped");
      assert.ok(isTidemarkError(result.error, "TRANSACTION_ENDED"), "The error says so.");
      assert.equal(runs, 1, "It is not run again: what it has committed would be repeated.");
      assert.equal(await effects.read("before"), "committed with the table", "What it has committed stays.");
      assert.equal(await store.consumers.checkpoint(ORDERS), undefined, "The checkpoint has not moved.");
    },
  },
  {
    name: "handler/late-write",
    promise: "A write through a lent transaction is refused once the work that it was lent to is over.",
    when: { revocableTx: true },
    tooth: lingers,
    check: async <Tx>({ store, database }: Scene<Tx>) => {
      const [step] = await threeSteps(store);
      await declare(store);
      const zone = await enter(store);
      const kept: Tx[] = [];
      await zone.commit(({ tx }) => {
        kept.push(tx);
        return step;
      });
      const late = Promise.all(kept.map((tx) => database.effects.write(tx, "late", "written")));
      assert.notEqual(await outcome(late), FULFILLED, "The write is refused.");
      assert.equal(await database.effects.read("late"), undefined, "Nothing is written.");
    },
  },
];

export const consumingLaws: readonly Law[] = [
  ...inAnyLog.map(withOwnLog),
  ...inOwnLog.map(withOwnLog),
  ...inAnyLog.map(withForeignLog),
];

function startsAtHead(kind: ConsumerKind): SceneLaw {
  return {
    name: `${kind}/starts-at-head`,
    promise: `A new ${kind} starts at the head of the log.`,
    tooth: operates("starts everything at the beginning", (real) => ({
      declare: (consumer, options) => real.declare(consumer, { ...options, start: "beginning" }),
    })),
    check: async ({ store, log }) => {
      await log.append(deposit("a", 3));
      const { segments } = await store.consumers.declare(ORDERS, { kind, log });
      assert.equal(segments[0]?.position, await log.head());
    },
  };
}

function detectsEnding(how: "commit" | "rollback"): SceneLaw {
  return {
    name: `handler/${how}-detected`,
    promise: `A handler that ends the lent transaction by a ${how} is detected, and its batch does not count.`,
    tooth: forgivesEnding,
    check: async <Tx>({ store, log, run, database }: Scene<Tx>) => {
      await log.append(deposit("a", 1));
      const ends: unknown[] = [];
      const meddling = async (_event: Deposit, { tx }: TransactionalContext<Tx>): Promise<void> => {
        ends.push(await outcome(database.effects.end(tx, how)));
      };
      const result = await run(projector(meddling, { failure: { attempts: 3, then: "skip" } }));
      // Where the lent handle refuses to end its transaction, none was ended, and there is nothing to detect.
      if (ends[0] !== FULFILLED) return assert.equal(result.kind, "caught-up");
      assert.equal(result.kind, "stopped");
      assert.ok(isTidemarkError(result.error, "TRANSACTION_ENDED"), "The error says so.");
      assert.equal(ends.length, 1, "It is not run again: what it has committed would be repeated.");
      assert.equal(await store.consumers.checkpoint(ORDERS), undefined, "The checkpoint has not moved.");
    },
  };
}

/** An event's handler fails for a transient reason, more often than its budget allows failures. */
async function assertWaitsOut<Tx>({ store, log, run }: Scene<Tx>, failure: () => Error): Promise<void> {
  await log.append(deposit("a", 3));
  let failures = 0;
  const shaky = projector<unknown>(
    async (event, context) => {
      await apply(event, context);
      if (!isAmount(event, 2) || failures === 3) return;
      failures += 1;
      throw failure();
    },
    { failure: { attempts: 2, then: "skip" } },
  );
  const result = await run(shaky);
  assert.deepEqual([result.kind, handledBy(result)], ["caught-up", 3]);
  assert.deepEqual(await applied(store), [1, 2, 3]);
  assert.equal((await store.consumers.get(ORDERS))?.segments[0]?.error, undefined, "It is no error.");
}

/** A handler that applies every event but one, for which it always fails with the same error. */
function poisonedBy(
  amount: number,
): (<Tx>(event: Deposit, context: TransactionalContext<Tx>) => Promise<void>) & { readonly error: Error } {
  const error = new Error("poison");
  const handle = async <Tx>(event: Deposit, context: TransactionalContext<Tx>): Promise<void> => {
    await apply(event, context);
    if (isAmount(event, amount)) throw error;
  };
  return Object.assign(handle, { error });
}

/** A handler that says when it has its first event, and waits with it until it may go on. */
function heldAtFirst(): {
  readonly handling: Gate;
  readonly held: Gate;
  readonly handle: <Tx>(event: Deposit, context: TransactionalContext<Tx>) => Promise<void>;
} {
  const [handling, held] = [gate(), gate()];
  const handle = async <Tx>(event: Deposit, context: TransactionalContext<Tx>): Promise<void> => {
    handling.open();
    await held.passed;
    await apply(event, context);
  };
  return { handling, held, handle };
}

/** A log whose reader is interrupted before it gets its page `number`: between two transactions of a consumer. */
function beforePage(log: EventSource, number: number, interrupt: () => Promise<void>): EventSource {
  let pages = 0;
  return override(log, (real) => ({
    readAll: async (options) => {
      pages += 1;
      if (pages === number) await interrupt();
      return real.readAll(options);
    },
  }));
}

/** What a handler appends by its context in reaction to an event. */
function reaction(event: Deposit, expected: Expected = "any"): AppendRequest {
  return { aggregate: account("reactions"), expected, events: [{ type: "reacted", data: event.data.amount }] };
}

async function reactions<Tx>(store: Store<Tx>): Promise<readonly unknown[]> {
  const events = await collect(store.readAggregate(account("reactions")));
  return events.map((event) => event.data);
}

async function readLate<Tx>({ store }: TransactionalContext<Tx>): Promise<void> {
  await collect(store.readAggregate(account("late")));
}

function handledBy(result: ConsumeResult): number {
  return result.kind === "busy" ? 0 : result.handled;
}

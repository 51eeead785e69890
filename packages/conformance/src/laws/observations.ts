import { type ConsumeOptions, type Observation, START } from "@tidemark/core";
import { ORDERS } from "../consumers.ts";
import { effects, history, letters, nameOf } from "../dead-letters.ts";
import { assert, fulfils } from "../expect.ts";
import type { Law } from "../law.ts";
import { consumesOtherwise, observesAs, suffersFromObserve } from "../lies/dead-letters.ts";
import type { Deposit } from "../projectors.ts";
import { forWard, type WardLaw } from "../ward.ts";

const observing: readonly WardLaw[] = [
  {
    name: "observe/once",
    promise:
      "Every event that is handled is told once, with its consumer and how long it took, however its neighbours fare.",
    inAnyLog: true,
    tooth: observesAs("tells everything twice", (observation) => [observation, observation]),
    check: async ({ store, log, run, broken, kind }) => {
      await history(log, "a1 b1 c1 d1");
      broken.add("c1");
      const { told, observe } = listener();
      await run({ observe });
      assert.deepEqual(outcomes(told), ["a1 handled", "b1 handled", "c1 parked", "d1 handled"]);
      for (const { consumer, kind: told_, durationMs } of told) {
        assert.deepEqual(consumer, { name: ORDERS, version: 1 });
        assert.equal(told_, kind === "batch" ? "projector" : kind);
        assert.ok(durationMs >= 0 && durationMs < 60_000, `${durationMs} ms is how long it took.`);
      }
      const { events } = await log.readAll({ scope: { eventTypes: ["deposited"] } });
      const byPosition = told.toSorted((a, b) => (a.event.position < b.event.position ? -1 : 1));
      assert.deepEqual(
        byPosition.map(({ event }) => event),
        events,
      );
      assert.deepEqual(await letters(store), ["c1"]);
    },
  },
  {
    name: "observe/waits",
    promise: "An event that is parked is told with its error, and one that only waits behind it as waiting.",
    tooth: observesAs("tells only of events that were tried", (told) => (told.outcome === "waits" ? [] : [told])),
    check: async ({ log, run, broken }) => {
      await history(log, "a1 b1 a2");
      broken.add("a1");
      const { told, observe } = listener();
      await run({ observe });
      await history(log, "a3");
      await run({ observe });
      assert.deepEqual(outcomes(told), ["a1 parked", "a2 waits", "a3 waits", "b1 handled"]);
      const errors = new Map(told.map(({ event, error }) => [nameOf(event as Deposit), error]));
      const error = errors.get("a1");
      assert.ok(error instanceof RangeError, "The error is that of the handler.");
      assert.deepEqual([errors.get("a2"), errors.get("b1")], [undefined, undefined]);
    },
  },
  {
    name: "observe/skipped",
    promise: "An event that is skipped is told so, with its error.",
    tooth: observesAs("tells only of what was handled", (told) => (told.outcome === "handled" ? [told] : [])),
    check: async ({ log, run, broken }) => {
      await history(log, "a1 b1");
      broken.add("a1");
      const { told, observe } = listener();
      await run({ observe, failure: { then: "skip" } });
      assert.deepEqual(outcomes(told), ["a1 skipped", "b1 handled"]);
      assert.ok(
        told.some(({ error }) => error instanceof RangeError),
        "The error is that of the handler.",
      );
    },
  },
  {
    name: "observe/stopped",
    promise: "The event at which a consumer stops is told so, once, with its error.",
    tooth: observesAs("tells only of what was handled", (told) => (told.outcome === "handled" ? [told] : [])),
    check: async ({ log, run, broken }) => {
      await history(log, "a1 b1");
      broken.add("b1");
      const { told, observe } = listener();
      for (const attempts of [1, 2]) await run({ observe, failure: { attempts, then: "stop" } });
      assert.deepEqual(outcomes(told), ["a1 handled", "b1 stopped", "b1 stopped"]);
      assert.ok(
        told.some(({ error }) => error instanceof RangeError),
        "The error is that of the handler.",
      );
    },
  },
  {
    name: "observe/letters",
    promise: "What becomes of a letter is told as well: handled, parked again, or skipped when it is given up.",
    tooth: observesAs("tells of an event only once in its life", firstOnly()),
    check: async ({ store, log, run, broken }) => {
      const at = await history(log, "a1 b1 c1");
      for (const name of ["a1", "b1", "c1"]) broken.add(name);
      await run();
      broken.delete("a1");
      await store.deadLetters.retry(ORDERS, "all");
      await store.deadLetters.remove(ORDERS, at.get("c1") ?? START);
      const { told, observe } = listener();
      await run({ observe });
      assert.deepEqual(outcomes(told), ["a1 handled", "b1 parked", "c1 skipped"]);
      broken.clear();
      await store.deadLetters.retry(ORDERS, "all");
      await run({ observe });
      assert.deepEqual(outcomes(told), ["a1 handled", "b1 handled", "b1 parked", "c1 skipped"]);
    },
  },
  {
    name: "observe/throwing",
    promise: "An observe that throws harms nobody: everything is handled, parked and told as without it.",
    tooth: suffersFromObserve,
    check: async ({ store, log, run, broken }) => {
      await history(log, "a1 b1 a2");
      broken.add("a1");
      const { told, observe } = listener();
      const throwing: typeof observe = (observation) => {
        observe(observation);
        throw new Error("The counter is broken.");
      };
      assert.equal((await fulfils(run({ observe: throwing }), "A cycle ends as it would")).kind, "caught-up");
      assert.deepEqual(outcomes(told), ["a1 parked", "a2 waits", "b1 handled"]);
      assert.deepEqual([await letters(store), await effects(store)], [["a1", "a2"], { b: ["b1"] }]);
    },
  },
  {
    name: "observe/committed",
    promise: "Nothing is told of an event before what became of it is committed.",
    kinds: ["projector", "batch", "saga"],
    tooth: consumesOtherwise("tells of an event when it is read", ({ observe, log }) => ({
      log: log && {
        logId: log.logId,
        head: (op) => log.head(op),
        wait: (after, op) => log.wait(after, op),
        readAll: async (options) => {
          const page = await log.readAll(options);
          const about = { consumer: { name: ORDERS, version: 1 }, kind: "projector", durationMs: 0 } as const;
          for (const event of page.events) observe?.({ ...about, event, outcome: "handled" });
          return page;
        },
      },
      observe: undefined,
    })),
    check: async ({ log, run, broken }) => {
      await history(log, "a1 b1 c1");
      broken.add("b1");
      const { told, observe } = listener();
      await run({ observe, failure: { attempts: 3, then: "stop" } });
      assert.deepEqual(outcomes(told), ["a1 handled", "b1 stopped"]);
    },
  },
];

export const observationLaws: readonly Law[] = forWard("consuming", observing);

function listener(): { readonly told: Observation[]; readonly observe: NonNullable<ConsumeOptions["observe"]> } {
  const told: Observation[] = [];
  return { told, observe: (observation) => void told.push(observation) };
}

/** "a1 handled", sorted: observers handle aggregates side by side. */
function outcomes(told: readonly Observation[]): readonly string[] {
  return told.map(({ event, outcome }) => `${nameOf(event as Deposit)} ${outcome}`).toSorted();
}

function firstOnly(): (observation: Observation) => readonly Observation[] {
  const known = new Set<string>();
  return (observation) => {
    const key = observation.event.id;
    const first = !known.has(key);
    known.add(key);
    return first ? [observation] : [];
  };
}

import { type AnyConsumer, type FailurePolicy, type Observer, type Position, TidemarkError } from "@tidemark/core";
import { ORDERS } from "../consumers.ts";
import { letters } from "../dead-letters.ts";
import { deposit } from "../events.ts";
import { assert, fulfils, promptly } from "../expect.ts";
import { changeRecords, unavailable } from "../faults.ts";
import { type Law, override } from "../law.ts";
import { givesUpClaiming, givesUpReading, givesUpRecording, keepsClaims } from "../lies/transient.ts";
import { changeClaims, observer } from "../observers.ts";
import { type Deposit, isAmount, projector } from "../projectors.ts";
import { lawsAbout, type Scene, type SceneLaw } from "../scene.ts";

const { withOwnLog } = lawsAbout("consuming");

/** A database that is away for a moment, not while events are handled, but while it is written down what became of them. */
const recording: readonly SceneLaw[] = [
  {
    name: "transient/record-error",
    promise: "A failure that cannot be recorded at once is recorded once a moment later, and its policy applies.",
    tooth: givesUpRecording,
    check: (scene) => checkRecording(scene, (name, failure, handle) => projector(handle, { name, failure })),
  },
  {
    name: "observer/transient/record-error",
    promise:
      "A failure of an observer's handler that cannot be recorded at once is recorded once a moment later, and its policy applies.",
    tooth: givesUpRecording,
    check: (scene) => checkRecording(scene, (name, failure, handle) => observer(handle, { name, failure })),
  },
  {
    name: "observer/transient/read-again",
    promise:
      "An event that cannot be read again at once, before its next try or as a dead letter, is read a moment later.",
    tooth: givesUpReading,
    check: async ({ store, log, run }) => {
      await log.append(deposit("a", 2));
      const fails = inTurns(2);
      let pages = 0;
      const shaky = override(log, (real) => ({
        readAll: (options) => {
          pages += 1;
          return options?.limit === 1 && fails() ? Promise.reject(unavailable()) : real.readAll(options);
        },
      }));
      const { handle, calls } = failingAt(2);
      const running = run(observer(handle, { failure: { attempts: 3, then: "park" } }), { log: shaky });
      const { kind } = await fulfils(running, "It is read again");
      assert.deepEqual([kind, calls()], ["caught-up", 3]);
      assert.deepEqual(await letters(store), ["a2"]);
      assert.ok(pages > 3);
    },
  },
];

const claiming: readonly SceneLaw[] = [
  {
    name: "observer/transient/claims",
    promise:
      "A claim that cannot be made, completed or given back at once is so a moment later, and nothing runs twice.",
    tooth: givesUpClaiming,
    check: async ({ store, log, run, open }) => {
      const { positions } = await log.append(deposit("a", 2));
      await log.append(deposit("b"));
      const [claimFails, completeFails, releaseFails] = [inTurns(1), inTurns(2), inTurns(1)];
      const shaky = await open({}, (real) =>
        changeClaims(real, (claims) => ({
          claim: (...args) => (claimFails() ? Promise.reject(unavailable()) : claims.claim(...args)),
          complete: (...args) => (completeFails() ? Promise.reject(unavailable()) : claims.complete(...args)),
          release: (...args) => (releaseFails() ? Promise.reject(unavailable()) : claims.release(...args)),
        })),
      );
      const { handle, calls, seen } = failingAt(2);
      const consumer = claimant(handle, { failure: { attempts: 2, then: "park" } });
      const { kind } = await fulfils(run(consumer, {}, shaky), "The claims are waited for");
      assert.deepEqual([kind, calls(), seen], ["caught-up", 2, [1, 1]]);
      assert.deepEqual(await letters(store), ["a2"]);
      const claims = await Promise.all(positions.map((position) => claimOf({ store, log }, position)));
      assert.deepEqual(claims, ["done", "claimed"], "What was done is remembered, and what was not is free.");
    },
  },
  {
    name: "observer/transient/claims/lost-ack",
    promise: "A claim whose acknowledgement was lost does not stand in its own observer's way.",
    tooth: keepsClaims,
    check: async ({ log, run, open }) => {
      await log.append(deposit("a", 2));
      let claimed = 0;
      const shaky = await open({}, (real) =>
        changeClaims(real, (claims) => ({
          claim: async (...args) => {
            const outcome = await claims.claim(...args);
            if (outcome === "claimed") claimed += 1;
            if (outcome === "claimed" && claimed === 1) throw unavailable();
            return outcome;
          },
        })),
      );
      const { handle, seen } = failingAt(undefined);
      const stop = new AbortController();
      const running = run(claimant(handle, { claimMs: 600_000 }), { signal: stop.signal }, shaky);
      try {
        const { kind } = await promptly("The event is handled", fulfils(running, "The claim is made again"));
        assert.deepEqual([kind, seen], ["caught-up", [1, 2]]);
      } finally {
        stop.abort();
      }
    },
  },
];

/** What consumers do when the database fails them beside their events. */
export const transientLaws: readonly Law[] = [...recording, ...claiming].map(withOwnLog);

type Handling = (event: Deposit) => Promise<void>;

/** Fails so often, then works once, and so on. */
function inTurns(failures: number): () => boolean {
  let calls = 0;
  return () => calls++ % (failures + 1) < failures;
}

/** A handler that fails at one amount for good. */
function failingAt(amount: number | undefined): {
  readonly handle: Handling;
  /** How often it was called for that amount. */
  readonly calls: () => number;
  readonly seen: readonly number[];
} {
  let calls = 0;
  const seen: number[] = [];
  return {
    seen,
    calls: () => calls,
    handle: async (event) => {
      if (amount !== undefined && isAmount(event, amount)) {
        calls += 1;
        throw new RangeError("poison");
      }
      seen.push(event.data.amount);
    },
  };
}

function claimant(
  handle: Handling,
  options: { readonly failure?: FailurePolicy; readonly claimMs?: number },
): Observer {
  return observer(handle, { ...options, dedupe: "claim", concurrency: 1 });
}

/** What somebody else is answered who claims the event of this position. */
function claimOf<Tx>({ store, log }: Pick<Scene<Tx>, "store" | "log">, position: Position): Promise<string> {
  return store.claims.claim(ORDERS, `${log.logId}:${position}`, { token: "somebody else", ms: 1_000 });
}

async function checkRecording<Tx>(
  { store, log, run, open }: Scene<Tx>,
  define: (name: string, failure: FailurePolicy, handle: Handling) => AnyConsumer<Tx>,
): Promise<void> {
  const { positions } = await log.append(deposit("a", 2));
  const troubles = [unavailable, locked];
  for (const then of ["skip", "park", "stop"] as const) {
    const fails = inTurns(2);
    const shaky = await open({}, (real) =>
      changeRecords(real, (records) => ({
        recordError: (...args) => {
          if (!fails()) return records.recordError(...args);
          troubles.reverse();
          return Promise.reject(troubles[0]?.());
        },
      })),
    );
    const { handle, calls } = failingAt(2);
    const consumer = define(then, { attempts: 3, then }, handle);
    const { kind } = await fulfils(run(consumer, { fetchSize: 1 }, shaky), `The error is recorded (${then})`);
    assert.deepEqual([kind, calls()], [then === "stop" ? "stopped" : "caught-up", 3]);
    const segment = (await store.consumers.get(then))?.segments[0];
    assert.equal(segment?.error?.count, 3, `Each failure is recorded once (${then}).`);
    assert.equal(segment?.position, then === "stop" ? positions[0] : positions[1]);
  }
}

function locked(): TidemarkError<"BUSY"> {
  return new TidemarkError("BUSY", "The law says that the lock was not had.", { adapter: "conformance", waitedMs: 1 });
}

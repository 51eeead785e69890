// @ts-check
// A process with a worker in it, for churn.ts: on the database that its assignment names, until it is told to drain.
import { appendFileSync } from "node:fs";
import process from "node:process";
import { override } from "@tidemark/conformance";
import { defineObserver, defineProjector, defineSaga, openStore } from "@tidemark/core";
import { createWorker } from "@tidemark/worker";

/** @typedef {{ module: string, config: unknown, name: string, segments: number, leaseMs: number, diary: string }} Assignment */

// Without its parent it has no purpose.
process.on("disconnect", () => process.exit(1));
process.once("message", (/** @type {Assignment} */ assignment) => void run(assignment));

/** Transactions that are open just now, or wait to be. */
let open = 0;
let isToFreeze = false;

/** @param {Assignment} assignment */
async function run({ module, config, name, segments, leaseMs, diary }) {
  const { openDatabase } = await import(module);
  /** @type {import("@tidemark/conformance").TestDatabase<unknown>} */
  const database = await openDatabase(config);
  const adapter = override(database.adapter(), (real) => ({
    transaction: async (work, op) => {
      while (isToFreeze) await new Promise((resolve) => setTimeout(resolve, 5));
      open += 1;
      try {
        return await real.transaction(work, op);
      } finally {
        open -= 1;
        freezeIfAsked();
      }
    },
  }));
  const store = await openStore(adapter, { maxTransactionMs: 2 * leaseMs });
  const worker = createWorker(store, {
    name,
    consumers: [ledger(segments), tally(), mail(diary)],
    leaseMs,
    memberLeaseMs: Math.ceil(leaseMs / 2),
    poll: { minMs: 10, maxMs: 200 },
    retry: { minDelayMs: 50, maxDelayMs: 1_000 },
    drainMs: 5_000,
    logger: lossesOf("mail", diary),
    telemetry: false,
  });
  process.on("message", (message) => {
    if (message === "freeze") {
      isToFreeze = true;
      freezeIfAsked();
    }
    if (message === "drain") {
      void worker.drain();
    }
  });
  await worker.run();
  await store.close();
  process.exit(0);
}

/** Stands still between two transactions: where there is one writer, one that stops inside blocks everybody. */
function freezeIfAsked() {
  if (!isToFreeze || open > 0) return;
  isToFreeze = false;
  process.kill(process.pid, "SIGSTOP");
}

/** One effect for each deposit. @param {number} segments */
function ledger(segments) {
  return defineProjector({
    name: "ledger",
    segments,
    scope: { eventTypes: ["deposited"] },
    handle: (event, { append }) => {
      append({
        aggregate: { type: "ledger", id: event.aggregate.id },
        events: [{ type: "applied", data: { position: event.position.toString() } }],
      });
    },
  });
}

/** Counts the deposits of each account. */
function tally() {
  return defineSaga({
    name: "tally",
    start: "beginning",
    handlers: {
      deposited: {
        association: { property: "account", value: (event) => event.aggregate.id },
        starts: true,
        handle: (event, /** @type {import("@tidemark/core").SagaState<{ count: number }> | undefined} */ state) => ({
          associations: { account: event.aggregate.id },
          data: { count: (state?.data.count ?? 0) + 1 },
        }),
      },
    },
  });
}

/**
 * Writes into the diary when a segment of this consumer is lost, for what is in flight then is done again.
 *
 * @param {string} name @param {string} diary @returns {import("@tidemark/worker").Logger}
 */
function lossesOf(name, diary) {
  const ignore = () => undefined;
  return {
    debug: ignore,
    info: ignore,
    warn: (message, { consumer }) => {
      if (consumer === name && message === "Lost.") appendFileSync(diary, "lost\n");
    },
    error: ignore,
  };
}

/** Writes into a file what it has seen: that is there even when the process is killed. @param {string} diary */
function mail(diary) {
  return defineObserver({
    name: "mail",
    segments: 2,
    start: "beginning",
    concurrency: 4,
    scope: { eventTypes: ["deposited"] },
    handle: async ({ position }) => {
      appendFileSync(diary, `${position}\n`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    },
  });
}

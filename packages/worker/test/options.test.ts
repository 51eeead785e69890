import { createMemoryStore } from "@tidemark/adapter-memory";
import { defineObserver, defineProjector, isTidemarkError } from "@tidemark/core";
import { createWorker, traced, type WorkerOptions } from "@tidemark/worker";
import { expect, test } from "vitest";

const store = await createMemoryStore();
const projector = defineProjector({ name: "orders", handle: () => undefined });

const wrong: readonly (readonly [string, WorkerOptions<unknown>])[] = [
  ["consumers", { consumers: [] }],
  ["consumers", { consumers: [projector, { consumer: projector }] }],
  ["consumers[0].executor", { consumers: [{ consumer: projector, executor: async (task) => task() }] }],
  ["consumers[0].fetchSize", { consumers: [{ consumer: projector, fetchSize: 20_000 }] }],
  ["leaseMs", { consumers: [projector], leaseMs: 0 }],
  ["poll.minMs", { consumers: [projector], poll: { minMs: 0.5 } }],
  ["ringEvents", { consumers: [projector], ringEvents: -1 }],
  ["name", { consumers: [projector], name: "" }],
];

test.each(wrong)("a worker refuses a wrong %s", (argument, options) => {
  let error: unknown;
  try {
    createWorker(store, options);
  } catch (thrown) {
    error = thrown;
  }
  expect(isTidemarkError(error, "INVALID_ARGUMENT") && error.details.argument).toBe(argument);
});

test("a name that is too long is LIMIT_EXCEEDED", () => {
  expect(() => createWorker(store, { consumers: [projector], name: "x".repeat(1_000) })).toThrow(/has 1000 bytes/);
});

test("a worker is run once", async () => {
  const worker = createWorker(store, { consumers: [defineObserver({ name: "mail", handle: () => undefined })] });
  expect(worker.status()).toMatchObject({ phase: "new", live: true, ready: false, healthy: true });
  const run = worker.run();
  await worker.drain();
  await run;
  expect(worker.status().phase).toBe("ended");
  await expect(worker.run()).rejects.toMatchObject({ code: "CLOSED" });
});

test("a worker that is drained before it is run does nothing", async () => {
  const worker = createWorker(store, { consumers: [defineProjector({ name: "never", handle: () => undefined })] });
  await worker.drain();
  await expect(worker.run()).rejects.toMatchObject({ code: "CLOSED" });
  expect(await store.consumers.get("never")).toBeUndefined();
});

test("what a logger throws stops nothing", async () => {
  const fail = (): never => {
    throw new Error("disk full");
  };
  const worker = createWorker(store, {
    consumers: [defineProjector({ name: "logged", handle: () => undefined })],
    logger: { debug: fail, info: fail, warn: fail, error: fail },
  });
  const run = worker.run();
  await worker.drain();
  await run;
});

test("outside of a trace metadata stay as they are", () => {
  expect(traced({ correlationId: "1" })).toEqual({ correlationId: "1" });
});

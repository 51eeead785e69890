import { AsyncLocalStorage } from "node:async_hooks";
import { createMemoryStore, type MemoryTransaction } from "@tidemark/adapter-memory";
import { override } from "@tidemark/conformance";
import { defineObserver, defineProjector } from "@tidemark/core";
import { createWorker, traced, type Worker } from "@tidemark/worker";
import * as api from "@opentelemetry/api";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

interface SpanRecord {
  readonly name: string;
  readonly id: string;
  readonly traceId: string;
  readonly parent: api.SpanContext | undefined;
  readonly links: readonly api.Link[];
  status: api.SpanStatusCode | undefined;
  isEnded: boolean;
}

const spans: SpanRecord[] = [];
const counted = new Map<string, number>();

beforeAll(() => {
  const storage = new AsyncLocalStorage<api.Context>();
  api.context.setGlobalContextManager({
    active: () => storage.getStore() ?? api.ROOT_CONTEXT,
    with: (context, work, self, ...args) => storage.run(context, () => Reflect.apply(work, self, args)),
    bind: (_context, target) => target,
    enable() {
      return this;
    },
    disable() {
      return this;
    },
  });
  api.trace.setGlobalTracerProvider({ getTracer: () => ({ startSpan, startActiveSpan: () => unexpected() }) });
  const instrument = (
    name: string,
  ): { add(n: number, about?: api.Attributes): void; record(n: number, about?: api.Attributes): void } => {
    const count = (n: number, about: api.Attributes = {}): void => {
      const key = `${name} ${Object.values(about).join(" ")}`;
      counted.set(key, (counted.get(key) ?? 0) + n);
    };
    return { add: count, record: count };
  };
  const meter = api.createNoopMeter();
  api.metrics.setGlobalMeterProvider({
    getMeter: () => override(meter, () => ({ createCounter: instrument, createHistogram: instrument })),
  });
});

afterAll(() => {
  api.context.disable();
  api.trace.disable();
  api.metrics.disable();
});

beforeEach(() => {
  spans.length = 0;
  counted.clear();
});

test("the span of a handler continues the trace of the append, and is linked to its batch", async () => {
  const store = await createMemoryStore();
  const request = startSpan("request");
  await api.context.with(api.trace.setSpan(api.ROOT_CONTEXT, request), () =>
    store.append({
      aggregate: { type: "order", id: "1" },
      events: [{ type: "placed", data: {}, metadata: traced({ createdBy: "alice" }) }],
    }),
  );
  const seen: unknown[] = [];
  const orders = defineProjector<MemoryTransaction>({
    name: "orders",
    handle: ({ metadata }) =>
      void seen.push(metadata.createdBy, api.trace.getSpanContext(api.context.active())?.spanId),
  });
  const mail = defineObserver({ name: "mail", start: "beginning", handle: () => undefined });
  const worker = createWorker(store, { consumers: [orders, mail] });
  await running(worker, async () => {
    const head = await store.head();
    await Promise.all([store.waitFor("orders", head), store.waitFor("mail", head)]);
  });
  const { traceId, spanId } = request.spanContext();
  const handler = spans.find(({ name }) => name === "orders placed");
  const batch = spans.find(
    ({ name, id }) => name === "orders batch" && handler?.links.some((link) => link.context.spanId === id),
  );
  expect(handler).toMatchObject({ traceId, isEnded: true, parent: { spanId, isRemote: true } });
  expect(batch).toMatchObject({ isEnded: true });
  expect(seen).toEqual(["alice", handler?.id]);
  expect(spans.find(({ name }) => name === "mail placed")).toMatchObject({ traceId, isEnded: true });
  expect(counted.get("tidemark.batch.events orders 1")).toBe(1);
  expect(counted.get("tidemark.events orders 1 handled")).toBe(1);
  expect(counted.get("tidemark.zone.changes orders 1 entered")).toBe(1);
  expect(counted.get("tidemark.zone.changes orders 1 given-back")).toBe(1);
});

test("a handler that fails is counted, and its span says so", async () => {
  const store = await createMemoryStore();
  await store.append({ aggregate: { type: "order", id: "1" }, events: [{ type: "placed", data: {} }] });
  const failing = defineProjector<MemoryTransaction>({
    name: "failing",
    failure: { attempts: 2, minDelayMs: 1 },
    handle: () => {
      throw new Error("no");
    },
  });
  const worker = createWorker(store, { consumers: [failing] });
  await running(worker, async () => void (await store.waitFor("failing", await store.head())));
  expect(counted.get("tidemark.handler.failures failing 1")).toBe(2);
  expect(counted.get("tidemark.events failing 1 parked")).toBe(1);
  expect(
    spans.filter(({ name, status }) => name === "failing placed" && status === api.SpanStatusCode.ERROR),
  ).toHaveLength(2);
  expect(spans.every(({ isEnded }) => isEnded)).toBe(true);
});

test("with telemetry: false nothing is told", async () => {
  const store = await createMemoryStore();
  const worker = createWorker(store, {
    consumers: [defineProjector<MemoryTransaction>({ name: "quiet", handle: () => undefined })],
    telemetry: false,
  });
  await store.append({ aggregate: { type: "order", id: "1" }, events: [{ type: "placed", data: {} }] });
  await running(worker, async () => void (await store.waitFor("quiet", await store.head())));
  expect(spans).toEqual([]);
  expect(counted.size).toBe(0);
});

async function running(worker: Worker, work: () => Promise<void>): Promise<void> {
  const run = worker.run();
  try {
    for (let attempt = 0; worker.status().phase !== "running" && attempt < 1_000; attempt++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await work();
  } finally {
    await worker.drain();
    await run;
  }
}

function startSpan(name: string, { links = [] }: api.SpanOptions = {}, context = api.context.active()): api.Span {
  const parent = api.trace.getSpanContext(context);
  const record: SpanRecord = {
    name,
    id: (spans.length + 1).toString(16).padStart(16, "0"),
    traceId: parent?.traceId ?? (spans.length + 1).toString(16).padStart(32, "0"),
    parent,
    links,
    status: undefined,
    isEnded: false,
  };
  spans.push(record);
  const span = api.trace.wrapSpanContext({
    traceId: record.traceId,
    spanId: record.id,
    traceFlags: api.TraceFlags.SAMPLED,
  });
  return Object.assign(span, {
    setStatus: ({ code }: api.SpanStatus) => {
      record.status = code;
      return span;
    },
    end: () => void (record.isEnded = true),
  });
}

function unexpected(): never {
  throw new Error("The worker does not call this.");
}

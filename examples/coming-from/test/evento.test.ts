import { createSqliteStore, type SqliteStore } from "@tidemark/adapter-sqlite";
import { consume, createConsumerStateStore, defineProjector, type Observation } from "@tidemark/core";
import { expect, test, vi } from "vitest";
import { raiseTotal } from "../src/evento/by-hand.ts";
import { consumeByName, retryDeadEvents } from "../src/evento/by-name.ts";
import { type Mailer, receipts } from "../src/evento/observer.ts";
import { revenue } from "../src/evento/projector.ts";
import { keepConsuming } from "../src/evento/run.ts";
import { payment } from "../src/evento/saga.ts";
import { createState } from "../src/evento/state-store.ts";

async function withStore(work: (store: SqliteStore) => Promise<void>): Promise<void> {
  const store = await createSqliteStore({ file: ":memory:" });
  try {
    await work(store);
  } finally {
    await store.close();
  }
}

const place = (store: SqliteStore, id: string, occurredOn = new Date()) =>
  store.append({
    aggregate: { type: "order", id },
    events: [{ type: "order-placed", data: { customer: "Ada", total: 120 }, occurredOn }],
  });

const add = (store: SqliteStore, id: string, type: string, data: unknown) =>
  store.append({ aggregate: { type: "order", id }, events: [{ type, data }] });

test("the projector keeps its table", () =>
  withStore(async (store) => {
    await store.transaction(async (tx) =>
      tx.exec("create table revenue (id text primary key, customer text, total real)"),
    );
    await place(store, "1");
    await place(store, "2");
    await add(store, "1", "order-cancelled", { reason: "changed her mind" });
    expect(await consume(store, revenue)).toMatchObject({ kind: "caught-up", handled: 3 });
    const rows = await store.transaction(async (tx) => tx.prepare("select id, total from revenue").all());
    expect(rows).toEqual([{ id: "2", total: 120 }]);
  }));

test("the observer starts at the head and sends a receipt for each payment after it", () =>
  withStore(async (store) => {
    const send = vi.fn<Mailer["send"]>(async () => undefined);
    const observer = receipts({ send });
    await add(store, "1", "order-paid", { paymentId: "p-1" });
    await consume(store, observer);
    expect(send).not.toHaveBeenCalled();
    const { ids } = await add(store, "2", "order-paid", { paymentId: "p-2" });
    await consume(store, observer);
    await consume(store, observer);
    expect(send.mock.calls.map(([message]) => message)).toEqual([{ key: ids[0], text: "Order 2 is paid. Thank you!" }]);
  }));

test("the saga changes its associations, and ends when the payment is settled", () =>
  withStore(async (store) => {
    await consume(store, payment);
    await place(store, "1");
    await consume(store, payment);
    expect(await store.sagas.find("payment", "orderId", "1")).toMatchObject([{ version: 1, data: { total: 120 } }]);
    await add(store, "1", "order-paid", { paymentId: "p-1" });
    await consume(store, payment);
    expect(await store.sagas.find("payment", "paymentId", "p-1")).toMatchObject([
      { version: 2, associations: { orderId: "1", paymentId: "p-1" } },
    ]);
    await store.append({
      aggregate: { type: "payment", id: "p-1" },
      events: [{ type: "payment-settled", data: { paymentId: "p-1" } }],
    });
    await consume(store, payment);
    expect(await store.sagas.find("payment", "orderId", "1")).toEqual([]);
  }));

test("the saga cancels an order whose payment is overdue", () =>
  withStore(async (store) => {
    await consume(store, payment);
    await place(store, "1", new Date(Date.now() - 48 * 60 * 60 * 1000));
    await consume(store, payment);
    await consume(store, payment);
    const types: string[] = [];
    for await (const { type } of store.readAggregate({ type: "order", id: "1" })) types.push(type);
    expect(types).toEqual(["order-placed", "order-cancelled"]);
    expect(await store.sagas.find("payment", "orderId", "1")).toEqual([]);
  }));

test("a consumer that is kept going handles what comes, until its signal fires", () =>
  withStore(async (store) => {
    await store.transaction(async (tx) =>
      tx.exec("create table revenue (id text primary key, customer text, total real)"),
    );
    const end = new AbortController();
    const running = keepConsuming(store, createConsumerStateStore(store), revenue, end.signal);
    const { positions } = await place(store, "1");
    await vi.waitFor(() => store.waitFor("revenue", positions[0] ?? fail()), { timeout: 20_000 });
    end.abort();
    await running;
  }));

test("a consumer that stops at an event says so to whoever keeps it going", () =>
  withStore(async (store) => {
    const handle = () => Promise.reject(new Error("No such table"));
    const projector = defineProjector({ name: "broken", failure: { attempts: 1, then: "stop" }, handle });
    await place(store, "1");
    const running = keepConsuming(store, createConsumerStateStore(store), projector, new AbortController().signal);
    await expect(running).rejects.toThrow("No such table");
  }));

test("each consumeEventsFor… counts, parks, and consumes dead events again", () =>
  withStore(async (store) => {
    const executor = vi.fn(async (task: () => Promise<void>) => task());
    const log = vi.spyOn(console, "log").mockReturnValue();
    const state = createState(store, executor);
    expect(await consumeByName(state)).toEqual([0, 0, 0]);
    await place(store, "1");
    // The table of the projector is not there yet: its event becomes a dead one.
    expect(await consumeByName(state)).toEqual([0, 1, 1]);
    expect(executor).toHaveBeenCalledTimes(1);
    expect(log.mock.lastCall?.[0]).toMatch(/^orders-v1: order-placed handled in /);
    await store.transaction(async (tx) => tx.exec("create table seen (type text primary key)"));
    expect(await retryDeadEvents(state)).toBe(1);
    expect(await store.deadLetters.count("types-v1")).toBe(0);
    await add(store, "1", "order-cancelled", { reason: "too late" });
    expect(await consumeByName(state)).toEqual([1, 1, 1]);
    expect(await store.sagas.find("Orders", "orderId", "1")).toEqual([]);
    log.mockRestore();
  }));

test("saga state is written by hand inside of the zone", () =>
  withStore(async (store) => {
    const state = createConsumerStateStore(store);
    await consume(store, payment);
    await place(store, "1");
    await consume(store, payment);
    expect(await raiseTotal(state, "1", 30)).toBe(true);
    expect(await store.sagas.find("payment", "orderId", "1")).toMatchObject([{ version: 2, data: { total: 150 } }]);
    const zone = await store.enterZone("payment");
    expect(await raiseTotal(state, "1", 30)).toBe(false);
    await zone?.leave();
  }));

test("every event is observed once", () =>
  withStore(async (store) => {
    const seen: Observation[] = [];
    const state = createConsumerStateStore(store, { observe: (observation) => void seen.push(observation) });
    await place(store, "1");
    await state.consumeEventsForProjector("any", "Any", undefined, () => undefined);
    expect(seen).toMatchObject([{ consumer: { name: "any" }, kind: "projector", outcome: "handled" }]);
  }));

function fail(): never {
  throw new Error("An append has a position.");
}

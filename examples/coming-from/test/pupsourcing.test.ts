import { createSqliteStore, type SqliteStore } from "@tidemark/adapter-sqlite";
import { isTidemarkError } from "@tidemark/core";
import { expect, test } from "vitest";
import { openAccount, withdraw } from "../src/pupsourcing/append.ts";
import { deposit } from "../src/pupsourcing/in-your-transaction.ts";
import { allAccountEvents } from "../src/pupsourcing/read-events.ts";
import { runOn, runOnce } from "../src/pupsourcing/run.ts";
import { consumeASegment } from "../src/pupsourcing/segments.ts";

async function withStore(work: (store: SqliteStore) => Promise<void>): Promise<void> {
  const store = await createSqliteStore({ file: ":memory:" });
  try {
    await store.transaction(async (tx) => {
      tx.exec("create table receipt (account text, amount real)");
      tx.exec("create table balance (account text primary key, amount real)");
      tx.exec("create table totals (type text primary key, events integer)");
    });
    await work(store);
  } finally {
    await store.close();
  }
}

const balances = (store: SqliteStore) =>
  store.transaction(async (tx) => tx.prepare("select account, amount from balance order by account").all());

test("an account opens once, and two withdrawals at once do not overdraw it", () =>
  withStore(async (store) => {
    expect(await openAccount(store, "1", "Ada")).toBe(1);
    await expect(openAccount(store, "1", "Eve")).rejects.toSatisfy((error) =>
      isTidemarkError(error, "VERSION_CONFLICT"),
    );
    await deposit(store, "1", 100);
    const outcomes = await Promise.all([withdraw(store, "1", 80), withdraw(store, "1", 80)]);
    expect(outcomes.toSorted()).toEqual(["done", "refused"]);
  }));

test("a deposit that the log refuses leaves no receipt", () =>
  withStore(async (store) => {
    await expect(deposit(store, "nobody's", 5)).rejects.toSatisfy((error) =>
      isTidemarkError(error, "VERSION_CONFLICT"),
    );
    expect(await store.transaction(async (tx) => tx.prepare("select * from receipt").all())).toEqual([]);
  }));

test("the scoped consumer applies each event of its types and contexts once", () =>
  withStore(async (store) => {
    await openAccount(store, "1", "Ada");
    await deposit(store, "1", 100);
    await store.append({
      aggregate: { type: "account", id: "1" },
      events: [{ type: "deposited", data: { amount: 7 } }],
    });
    await runOnce(store);
    await withdraw(store, "1", 30);
    await runOnce(store);
    expect(await balances(store)).toEqual([{ account: "1", amount: 70 }]);
  }));

test("the consumer runs on until its signal fires", () =>
  withStore(async (store) => {
    const end = new AbortController();
    await openAccount(store, "1", "Ada");
    await runOnce(store);
    const running = runOn(store, end.signal);
    await deposit(store, "1", 100);
    await store.waitFor("balances", await store.head());
    end.abort();
    await running;
    expect(await balances(store)).toEqual([{ account: "1", amount: 100 }]);
  }));

test("a consumer whose table is missing stops at the event, and says why", () =>
  withStore(async (store) => {
    await store.transaction(async (tx) => tx.exec("drop table balance"));
    await openAccount(store, "1", "Ada");
    await expect(runOnce(store)).rejects.toThrow("no such table");
    expect((await store.consumers.get("balances"))?.segments).toMatchObject([{ position: 0n, error: { count: 5 } }]);
  }));

test("all pages of a scope are read", () =>
  withStore(async (store) => {
    await openAccount(store, "1", "Ada");
    for (let i = 0; i < 250; i++) await deposit(store, "1", 1);
    await store.append({ aggregate: { type: "other", id: "1" }, events: [{ type: "noise", data: null }] });
    let events = 0;
    for await (const event of allAccountEvents(store)) events += event.aggregate.type === "account" ? 1 : 1_000;
    expect(events).toBe(251);
  }));

test("four segments handle each event once between them", () =>
  withStore(async (store) => {
    await store.transaction(async (tx) => tx.exec("insert into totals values ('account-opened', 0)"));
    for (let i = 0; i < 40; i++) await openAccount(store, String(i), "Ada");
    await store.consumers.declare("totals", { kind: "projector", segments: 4 });
    await using first = await store.enterZone("totals", { segment: 0 });
    expect(await consumeASegment(store)).toBe(1);
    await first?.leave();
    expect(await consumeASegment(store)).toBe(0);
    for (const segment of [2, 3]) {
      const taken = await Promise.all(
        [0, 1, 2, 3].filter((s) => s < segment).map((s) => store.enterZone("totals", { segment: s })),
      );
      expect(await consumeASegment(store)).toBe(segment);
      for (const zone of taken) await zone?.leave();
    }
    const [total] = await store.transaction(async (tx) => tx.prepare("select events from totals").all());
    expect(total).toEqual({ events: 40 });
  }));

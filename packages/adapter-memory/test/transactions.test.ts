import {
  createMemoryDatabase,
  createMemoryStore,
  type MemoryDatabase,
  type MemoryTransaction,
} from "@tidemark/adapter-memory";
import { describe, expect, test } from "vitest";

interface Account {
  readonly balance: number;
}

function accounts(tx: MemoryTransaction) {
  return tx.table<Account>("accounts");
}

async function balances(database: MemoryDatabase): Promise<Record<string, number>> {
  const rows = await database.table<Account>("accounts").entries();
  return Object.fromEntries([...rows].map(([key, { balance }]) => [key, balance]));
}

describe("two transactions", () => {
  test("interleave, and both commit", async () => {
    const database = createMemoryDatabase();
    const [one, two] = [database.begin(), database.begin()];
    await accounts(one).set("a", { balance: 1 });
    await accounts(two).set("b", { balance: 2 });
    expect(await accounts(one).get("b")).toBeUndefined();
    expect(await accounts(two).get("a")).toBeUndefined();
    await one.commit();
    expect(await accounts(two).get("a")).toEqual({ balance: 1 });
    expect(await balances(database)).toEqual({ a: 1 });
    await two.commit();
    expect(await balances(database)).toEqual({ a: 1, b: 2 });
  });

  test("interleave, and a rollback of one leaves the other alone", async () => {
    const database = createMemoryDatabase();
    const [one, two] = [database.begin(), database.begin()];
    await accounts(one).set("a", { balance: 1 });
    await accounts(two).set("b", { balance: 2 });
    await one.rollback();
    await two.commit();
    expect(await balances(database)).toEqual({ b: 2 });
  });

  test("take turns at one row, and no change is lost", async () => {
    const database = createMemoryDatabase();
    const deposit = async (amount: number): Promise<void> => {
      const tx = database.begin();
      await accounts(tx).update("a", (account) => ({ balance: (account?.balance ?? 0) + amount }));
      await tx.commit();
    };
    await Promise.all(Array.from({ length: 20 }, (_, index) => deposit(index)));
    expect(await balances(database)).toEqual({ a: 190 });
  });

  test("that append to one aggregate follow each other, and the second sees what the first has committed", async () => {
    const database = createMemoryDatabase();
    const store = await createMemoryStore({ database });
    const first = store.transaction(async (_tx, inside) => {
      await inside.append({ aggregate: { type: "order", id: "1" }, events: [{ type: "placed", data: 1 }] });
      await new Promise((resolve) => setImmediate(resolve));
    });
    const second = store.transaction((_tx, inside) =>
      inside.append({ aggregate: { type: "order", id: "1" }, events: [{ type: "paid", data: 2 }], expected: 1 }),
    );
    await first;
    expect(await second).toMatchObject({ first: 2, last: 2 });
  });
});

describe("rollback", () => {
  test("leaves no trace of a table that was new", async () => {
    const database = createMemoryDatabase();
    const tx = database.begin();
    await accounts(tx).set("a", { balance: 1 });
    expect((await accounts(tx).entries()).size).toBe(1);
    await tx.rollback();
    expect(await balances(database)).toEqual({});
  });

  test("brings back rows that were changed and deleted", async () => {
    const database = createMemoryDatabase();
    const before = database.begin();
    await accounts(before).set("a", { balance: 1 });
    await accounts(before).set("b", { balance: 2 });
    await before.commit();
    const tx = database.begin();
    await accounts(tx).set("a", { balance: 10 });
    await accounts(tx).delete("b");
    expect(await accounts(tx).entries()).toEqual(new Map([["a", { balance: 10 }]]));
    await tx.rollback();
    expect(await balances(database)).toEqual({ a: 1, b: 2 });
  });

  test("may be asked for again, but not after a commit", async () => {
    const database = createMemoryDatabase();
    const rolledBack = database.begin();
    await rolledBack.rollback();
    await rolledBack.rollback();
    const committed = database.begin();
    await committed.commit();
    await expect(committed.rollback()).rejects.toMatchObject({ code: "TRANSACTION_ENDED" });
  });
});

describe("a circle of transactions that wait for each other", () => {
  test.each([2, 3, 5])("of %i is broken at once: the one that closes it gets CONTENTION", async (size) => {
    const database = createMemoryDatabase();
    const circle = Array.from({ length: size }, () => database.begin());
    for (const [index, tx] of circle.entries()) await accounts(tx).set(String(index), { balance: index });
    const finish = async (tx: MemoryTransaction, index: number): Promise<void> => {
      await accounts(tx).set(String((index + 1) % size), { balance: -1 });
      await tx.commit();
    };
    const results = await Promise.allSettled(circle.map(finish));
    expect(results.map(({ status }) => status)).toEqual([...Array<string>(size - 1).fill("fulfilled"), "rejected"]);
    expect(results.at(-1)).toMatchObject({ reason: { code: "CONTENTION" } });
    const [victim] = circle.slice(-1);
    await expect(victim?.commit()).rejects.toMatchObject({ code: "CONTENTION" });
    expect((await balances(database))[String(size - 1)]).toBe(-1);
  });

  test("is found behind a queue", async () => {
    const database = createMemoryDatabase();
    const [holder, waiter, last] = [database.begin(), database.begin(), database.begin()];
    await accounts(holder).set("a", { balance: 1 });
    await accounts(last).set("b", { balance: 1 });
    const first = accounts(waiter).set("a", { balance: 2 });
    const second = accounts(last).set("a", { balance: 3 });
    await expect(accounts(holder).set("b", { balance: 1 })).rejects.toMatchObject({ code: "CONTENTION" });
    await first;
    await waiter.commit();
    await second;
    await last.commit();
    expect(await balances(database)).toEqual({ a: 3, b: 1 });
  });

  test("is not seen in statements of one transaction that are started at once: they follow each other", async () => {
    const database = createMemoryDatabase();
    const [one, two] = [database.begin(), database.begin()];
    await accounts(one).set("a", { balance: 1 });
    const deposit = (account: Account | undefined): Account => ({ balance: (account?.balance ?? 0) + 1 });
    const updates = ["a", "b", "a", "b"].map((key) => accounts(two).update(key, deposit));
    await accounts(one).set("b", { balance: 10 });
    await one.commit();
    await Promise.all(updates);
    await two.commit();
    expect(await balances(database)).toEqual({ a: 3, b: 12 });
  });

  test("is not seen where somebody waits behind a transaction that asks for more", async () => {
    const database = createMemoryDatabase();
    const [one, two] = [database.begin(), database.begin()];
    await accounts(one).set("a", { balance: 1 });
    const behind = accounts(two).set("a", { balance: 2 });
    await accounts(one).set("a", { balance: 3 });
    await accounts(one).set("b", { balance: 3 });
    await one.commit();
    await behind;
    await two.commit();
    expect(await balances(database)).toEqual({ a: 2, b: 3 });
  });

  test("costs a handler that keeps quiet about it the whole transaction", async () => {
    const database = createMemoryDatabase();
    const store = await createMemoryStore({ database });
    const other = database.begin();
    await accounts(other).set("b", { balance: 1 });
    const lent = store.transaction(async (tx) => {
      await accounts(tx).set("a", { balance: 2 });
      const blocked = accounts(other).set("a", { balance: 1 });
      await accounts(tx)
        .set("b", { balance: 2 })
        .catch(() => undefined);
      await blocked;
    });
    await expect(lent).rejects.toMatchObject({ code: "CONTENTION" });
    await other.commit();
    expect(await balances(database)).toEqual({ a: 1, b: 1 });
  });
});

describe("waiting for a row", () => {
  test("ends when the signal fires, and the transaction goes on", async () => {
    const database = createMemoryDatabase();
    const [holder, tx] = [database.begin(), database.begin()];
    await accounts(holder).set("a", { balance: 1 });
    const abort = new AbortController();
    const waiting = accounts(tx).set("a", { balance: 2 }, { signal: abort.signal });
    abort.abort();
    await expect(waiting).rejects.toMatchObject({ code: "ABORTED" });
    await accounts(tx).set("b", { balance: 2 });
    await tx.commit();
    await holder.commit();
    expect(await balances(database)).toEqual({ a: 1, b: 2 });
  });

  test("ends with the transaction, and keeps nothing locked", async () => {
    const database = createMemoryDatabase();
    const [holder, tx, third] = [database.begin(), database.begin(), database.begin()];
    await accounts(holder).set("a", { balance: 1 });
    const waiting = accounts(tx).set("a", { balance: 2 });
    const behind = accounts(third).set("a", { balance: 3 });
    await Promise.all([expect(waiting).rejects.toMatchObject({ code: "TRANSACTION_ENDED" }), tx.rollback()]);
    await holder.commit();
    await behind;
    await third.commit();
    expect(await balances(database)).toEqual({ a: 3 });
  });

  test("keeps nothing locked when the lock is granted in the moment of the end", async () => {
    const database = createMemoryDatabase();
    const [holder, tx, third] = [database.begin(), database.begin(), database.begin()];
    await accounts(holder).set("a", { balance: 1 });
    const waiting = accounts(tx).set("a", { balance: 2 });
    const ended = expect(waiting).rejects.toMatchObject({ code: "TRANSACTION_ENDED" });
    await Promise.all([holder.commit(), tx.rollback(), ended]);
    await accounts(third).set("a", { balance: 3 });
    await third.commit();
    expect(await balances(database)).toEqual({ a: 3 });
  });
});

describe("a lent transaction", () => {
  test("is refused once the work has returned", async () => {
    const store = await createMemoryStore();
    const tx = await store.transaction(async (lent) => lent);
    const calls = [
      accounts(tx).get("a"),
      accounts(tx).entries(),
      accounts(tx).set("a", { balance: 1 }),
      accounts(tx).delete("a"),
      accounts(tx).update("a", () => ({ balance: 1 })),
      tx.commit(),
      tx.rollback(),
    ];
    for (const call of calls) await expect(call).rejects.toMatchObject({ code: "TRANSACTION_ENDED" });
  });

  test("is rolled back and refused as soon as the signal fires, without waiting for the work", async () => {
    const database = createMemoryDatabase();
    const store = await createMemoryStore({ database });
    const abort = new AbortController();
    const handles: MemoryTransaction[] = [];
    const work = async (tx: MemoryTransaction): Promise<void> => {
      handles.push(tx);
      await accounts(tx).set("a", { balance: 1 });
      abort.abort();
      await new Promise(() => undefined);
    };
    await expect(store.transaction(work, { signal: abort.signal })).rejects.toMatchObject({ code: "ABORTED" });
    for (const tx of handles) {
      await expect(accounts(tx).set("b", { balance: 1 })).rejects.toMatchObject({ code: "TRANSACTION_ENDED" });
    }
    expect(handles).toHaveLength(1);
    expect(await balances(database)).toEqual({});
  });

  test.each(["commit", "rollback"] as const)("that its work ends by %s is detected", async (how) => {
    const database = createMemoryDatabase();
    const store = await createMemoryStore({ database });
    const lent = store.transaction(async (tx) => {
      await accounts(tx).set("a", { balance: 1 });
      await tx[how]();
    });
    await expect(lent).rejects.toMatchObject({ code: "TRANSACTION_ENDED" });
    expect(await balances(database)).toEqual(how === "commit" ? { a: 1 } : {});
  });

  test("that its work commits before it fails says so, and keeps the failure as the cause", async () => {
    const store = await createMemoryStore();
    const failure = new Error("after the commit");
    const lent = store.transaction(async (tx) => {
      await tx.commit();
      throw failure;
    });
    await expect(lent).rejects.toMatchObject({ code: "TRANSACTION_ENDED", cause: failure });
  });
});

describe("within", () => {
  test("takes part in a transaction of the caller's own", async () => {
    const database = createMemoryDatabase();
    const store = await createMemoryStore({ database });
    const tx = database.begin();
    await accounts(tx).set("a", { balance: 1 });
    await store.within(tx).append({ aggregate: { type: "account", id: "a" }, events: [{ type: "opened", data: 1 }] });
    expect((await store.readAll()).events).toEqual([]);
    await tx.commit();
    expect((await store.readAll()).events).toMatchObject([{ type: "opened" }]);
    expect(await balances(database)).toEqual({ a: 1 });
  });

  test("refuses a transaction of another database", async () => {
    const store = await createMemoryStore();
    const elsewhere = createMemoryDatabase().begin();
    expect(() => store.within(elsewhere)).toThrow(expect.objectContaining({ code: "LOG_MISMATCH" }));
  });

  test("two stores share what they share, and closing one leaves the other", async () => {
    const database = createMemoryDatabase();
    const [one, two] = [await createMemoryStore({ database }), await createMemoryStore({ database })];
    await one.append({ aggregate: { type: "account", id: "a" }, events: [{ type: "opened", data: 1 }] });
    await one.close();
    expect(two.logId).toBe(one.logId);
    expect((await two.readAll()).events).toHaveLength(1);
  });
});

test("rows are copied in and out", async () => {
  const database = createMemoryDatabase();
  const given = { balance: 1 };
  const tx = database.begin();
  const setting = tx.table<{ balance: number }>("accounts").set("a", given);
  given.balance = 2;
  await setting;
  const read = await tx.table<{ balance: number }>("accounts").get("a");
  if (read !== undefined) read.balance = 3;
  await tx.commit();
  expect(await balances(database)).toEqual({ a: 1 });
});

import { once } from "node:events";
import { join } from "node:path";
import { createSqliteAdapter, createSqliteStore } from "@tidemark/adapter-sqlite";
import { isTidemarkError, openStore } from "@tidemark/core";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import {
  cleanups,
  codeOf,
  countEvents,
  file,
  firstOutput,
  folder,
  latch,
  open,
  openHandle,
  placed,
  startChild,
} from "./fixture.ts";

describe("a borrowed handle of a file", () => {
  test("shares its transactions with the store and stays open", async () => {
    const handle = openHandle();
    const store = await open({ database: handle });
    handle.exec("create table note (text text)");
    handle.exec("begin immediate");
    handle.exec("insert into note values ('kept')");
    await store.within(handle).append(placed("1"));
    expect(await countEvents(store)).toBe(0);
    handle.exec("commit");
    expect(await countEvents(store)).toBe(1);
    await store.close();
    expect(handle.prepare("select text from note").pluck().get()).toBe("kept");
  });

  test("takes an append with it when the caller rolls back", async () => {
    const handle = openHandle();
    const store = await open({ database: handle });
    handle.exec("begin immediate");
    await store.within(handle).append(placed("1"));
    handle.exec("rollback");
    expect(await countEvents(store)).toBe(0);
  });

  test("keeps the caller's savepoints, whatever is called in between", async () => {
    const handle = openHandle();
    const store = await open({ database: handle });
    handle.exec("begin immediate");
    await store.within(handle).append(placed("1"));
    handle.exec("savepoint mine");
    await store.within(handle).append(placed("2"));
    expect(await codeOf(store.append(placed("3")))).toBe("WOULD_DEADLOCK");
    handle.exec("rollback to mine; release mine; commit");
    const { events } = await store.readAll();
    expect(events.map((event) => event.aggregate.id)).toEqual(["1"]);
  });

  test("without a transaction is refused", async () => {
    const handle = openHandle();
    const store = await open({ database: handle });
    expect(await codeOf(store.within(handle).append(placed("1")))).toBe("TRANSACTION_REQUIRED");
  });

  test("can append in a deferred transaction that has not read", async () => {
    const handle = openHandle();
    const store = await open({ database: handle });
    await store.append(placed("1"));
    handle.exec("begin");
    await store.within(handle).append(placed("1"));
    handle.exec("commit");
    expect(await countEvents(store)).toBe(2);
  });

  test("is told to begin immediately when its deferred transaction has read too early", async () => {
    const handle = openHandle();
    const store = await open({ database: handle });
    await store.append(placed("1"));
    handle.exec("begin");
    handle.prepare("select count(*) from tidemark_event").get();
    await store.append(placed("2"));
    const refusal: unknown = await store
      .within(handle)
      .append(placed("3"))
      .catch((error: unknown) => error);
    expect(isTidemarkError(refusal, "CONTENTION") && refusal.message).toContain("begin immediate");
    handle.exec("rollback");
  });

  test("returns its positions whole, though it prefers bigints", async () => {
    const handle = openHandle();
    handle.defaultSafeIntegers(true);
    const store = await open({ database: handle });
    handle.exec("begin immediate");
    const result = await store.within(handle).append(placed("1"));
    handle.exec("commit");
    expect(result).toMatchObject({ first: 1, last: 1, positions: [1n] });
  });

  test("of another log is refused", async () => {
    const store = await open({ file });
    const stranger = openHandle(join(folder, "other.db"));
    stranger.exec("begin immediate");
    expect(await codeOf(store.within(stranger).append(placed("1")))).toBe("SCHEMA_MISMATCH");
    stranger.exec("rollback");
    await open({ database: stranger });
    stranger.exec("begin immediate");
    expect(await codeOf(store.within(stranger).append(placed("1")))).toBe("LOG_MISMATCH");
    stranger.exec("rollback");
  });
});

describe("a borrowed database in memory", () => {
  test("makes calls of the store wait while the caller has a transaction open", async () => {
    const handle = openHandle(":memory:");
    const store = await open({ database: handle });
    handle.exec("begin");
    const order: string[] = [];
    const append = store.append(placed("1")).then(() => order.push("appended"));
    await new Promise((resolve) => setImmediate(resolve));
    order.push("committed");
    handle.exec("commit");
    await append;
    expect(order).toEqual(["committed", "appended"]);
  });

  test("is BUSY when that transaction does not end", async () => {
    const handle = openHandle(":memory:");
    const store = await open({ database: handle, waitMs: 20 });
    handle.exec("begin");
    expect(await codeOf(store.append(placed("1")))).toBe("BUSY");
    expect(await codeOf(store.head())).toBe("BUSY");
    handle.exec("commit");
    expect(await codeOf(store.append(placed("1")))).toBe("resolved");
  });

  test("makes other calls queue while a transaction is lent", async () => {
    const store = await open({ database: openHandle(":memory:") });
    const { promise: lent, resolve: isLent } = latch();
    const { promise: end, resolve: finish } = latch();
    const transaction = store.transaction(async (_tx, inside) => {
      await inside.append(placed("1"));
      isLent();
      await end;
    });
    await lent;
    const head = store.head();
    finish();
    await transaction;
    expect(await head).toBe(1n);
  });
});

describe("a lent transaction", () => {
  test("is refused once its work has returned", async () => {
    const store = await open({ file });
    const kept = await store.transaction(async (tx) => {
      tx.exec("create table note (text text)");
      const insert = tx.prepare("insert into note values (?)");
      const nested = tx.transaction(() => insert.run("nested"));
      nested();
      return { tx, insert, nested };
    });
    expect(() => kept.insert.run("late")).toThrow(expect.objectContaining({ code: "TRANSACTION_ENDED" }));
    expect(() => kept.nested()).toThrow(expect.objectContaining({ code: "TRANSACTION_ENDED" }));
    expect(() => kept.tx.exec("delete from note")).toThrow(expect.objectContaining({ code: "TRANSACTION_ENDED" }));
    expect(kept.insert.database).toBe(kept.tx);
    expect(openHandle().prepare("select text from note").pluck().all()).toEqual(["nested"]);
  });

  test("cannot be closed by its borrower", async () => {
    const store = await open({ file });
    expect(await codeOf(store.transaction(async (tx) => tx.close()))).toBe("UNSUPPORTED");
    expect(await codeOf(store.append(placed("1")))).toBe("resolved");
  });

  test("commits although an iterator was left open, and that iterator ends", async () => {
    const store = await open({ file });
    const iterator = await store.transaction(async (tx) => {
      tx.exec("create table note (text text); insert into note values ('a'), ('b')");
      const rows = tx.prepare("select text from note").iterate();
      rows.next();
      await Promise.resolve();
      return rows;
    });
    expect(() => iterator.next()).toThrow(expect.objectContaining({ code: "TRANSACTION_ENDED" }));
    expect(await codeOf(store.append(placed("1")))).toBe("resolved");
  });

  for (const [how, sql] of [
    ["commits it", "commit"],
    ["rolls it back", "rollback"],
    ["begins another one", "commit; begin immediate"],
  ] as const) {
    test(`does not count when its borrower ${how}`, async () => {
      const store = await open({ file });
      const outcome = store.transaction(async (tx, inside) => {
        tx.exec(sql);
        await inside.append(placed("1"));
      });
      expect(await codeOf(outcome)).toBe("TRANSACTION_ENDED");
      expect(await countEvents(store)).toBe(0);
      expect(await codeOf(store.append(placed("2")))).toBe("resolved");
    });
  }

  test("says that it was ended, although the work that committed it then failed", async () => {
    const store = await open({ file });
    for (const sql of ["commit", "commit; begin immediate"]) {
      const outcome = store.transaction(async (tx) => {
        tx.exec(sql);
        throw new Error("after the commit");
      });
      expect(await codeOf(outcome)).toBe("TRANSACTION_ENDED");
    }
  });

  test("never runs on in autocommit after SQLite rolled it back", async () => {
    const store = await open({ file });
    await store.transaction(async (tx) => tx.exec("create table note (text text unique)"));
    const outcome = store.transaction(async (tx) => {
      const insert = tx.prepare("insert or rollback into note values (?)");
      insert.run("once");
      expect(() => insert.run("once")).toThrow("UNIQUE");
      insert.run("in autocommit");
    });
    expect(await codeOf(outcome)).toBe("TRANSACTION_ENDED");
    expect(openHandle().prepare("select count(*) from note").pluck().get()).toBe(0);
  });

  test("never runs on in autocommit after an append made SQLite roll it back", async () => {
    const store = await open({ file });
    const outcome = store.transaction(async (tx, inside) => {
      tx.exec("create table note (text text)");
      tx.exec(
        "create temp trigger refuse before insert on main.tidemark_event begin select raise(rollback, 'no'); end",
      );
      await expect(inside.append(placed("1"))).rejects.toThrow("no");
      tx.exec("create table note (text text)");
    });
    expect(await codeOf(outcome)).toBe("TRANSACTION_ENDED");
    const tables = openHandle().prepare("select count(*) from sqlite_schema where name = 'note'").pluck();
    expect(tables.get()).toBe(0);
  });

  test("is rolled back as soon as its signal fires, whatever its work is waiting for", async () => {
    const store = await open({ file });
    const controller = new AbortController();
    const { promise: later, resolve: goOn } = latch();
    let late: unknown;
    const outcome = store.transaction(
      async (tx, inside) => {
        await inside.append(placed("1"));
        setImmediate(() => controller.abort());
        await later;
        try {
          tx.exec("create table note (text text)");
        } catch (error) {
          late = error;
        }
      },
      { signal: controller.signal },
    );
    expect(await codeOf(outcome)).toBe("ABORTED");
    expect(await codeOf(store.append(placed("2")))).toBe("resolved");
    goOn();
    await later;
    expect(late).toMatchObject({ code: "TRANSACTION_ENDED" });
    expect(await countEvents(store)).toBe(1);
  });

  test("can be used by another store on the same file and prefix", async () => {
    const [one, other] = [await open({ file }), await open({ file })];
    await one.transaction(async (tx) => other.within(tx).append(placed("1")));
    expect(await countEvents(other)).toBe(1);
  });
});

describe("a file that others use too", () => {
  test("is BUSY while another process keeps it locked, and the event loop goes on meanwhile", async () => {
    const store = await open({ file, waitMs: 2_000 });
    expect(await firstOutput(startChild("lock"))).toBe("locked");
    let turns = 0;
    const ticking = setInterval(() => (turns += 1), 1);
    const outcomes = await Promise.all([codeOf(store.append(placed("1"))), codeOf(store.transaction(async () => 1))]);
    clearInterval(ticking);
    expect(outcomes).toEqual(["BUSY", "BUSY"]);
    expect(turns).toBeGreaterThan(5);
    expect(await store.head()).toBe(0n);
  });

  test("stops waiting for the lock when its signal fires", async () => {
    const store = await open({ file });
    openHandle().exec("begin immediate");
    const controller = new AbortController();
    const waiting = codeOf(store.transaction(async () => 1, { signal: controller.signal }));
    const queued = codeOf(store.transaction(async () => 2, { signal: controller.signal }));
    setImmediate(() => controller.abort());
    expect(await Promise.all([waiting, queued])).toEqual(["ABORTED", "ABORTED"]);
  });

  test("is migrated once by ten processes that start at the same time", async () => {
    const logIds = await Promise.all(Array.from({ length: 10 }, () => firstOutput(startChild("migrate"))));
    expect(new Set(logIds).size).toBe(1);
    const handle = openHandle();
    // The last of them may be closing the file, which locks it for a moment.
    handle.pragma("busy_timeout = 30000");
    expect(handle.prepare("select count(*) from tidemark_migration").pluck().get()).toBe(4);
  });

  test("is free again at once after a process was killed inside its transaction, of which nothing is left", async () => {
    const store = await open({ file });
    const child = startChild("append-and-hang");
    expect(await firstOutput(child)).toBe("appended");
    child.kill("SIGKILL");
    await once(child, "exit");
    const result = await store.append(placed("2"));
    expect(result.positions).toEqual([1n]);
    expect(await countEvents(store)).toBe(1);
  });

  test("gets 64 appends that had to wait for a raw transaction in one or two transactions", async () => {
    const adapter = createSqliteAdapter({ file });
    const sizes: number[] = [];
    const store = await openStore({
      ...adapter,
      appendBatch: (units, op) => {
        sizes.push(units.length);
        return adapter.appendBatch(units, op);
      },
    });
    cleanups.push(() => store.close());
    await store.append(placed("held"));
    sizes.length = 0;
    const raw = openHandle();
    raw.exec("begin immediate; update tidemark_event set data = data where aggregate_id = 'held'");
    const appends = Array.from({ length: 64 }, (_, index) => index).map(async (index) => {
      // Callers that arrive one after the other, while the raw transaction is open.
      for (let turn = 0; turn < index % 8; turn++) await new Promise((resolve) => setImmediate(resolve));
      return store.append(placed(`order-${index}`));
    });
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(await store.head()).toBe(1n);
    raw.exec("commit");
    await Promise.all(appends);
    expect(await countEvents(store)).toBe(65);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(64);
    expect(sizes.length).toBeLessThanOrEqual(2);
  });
});

describe("the schema", () => {
  test("of two prefixes in one file never meets", async () => {
    const [one, other] = [await open({ file, prefix: "one_" }), await open({ file, prefix: "other_" })];
    await one.append(placed("1"));
    expect(one.logId).not.toBe(other.logId);
    expect([await countEvents(one), await countEvents(other)]).toEqual([1, 0]);
  });

  for (const prefix of ["", "a b", 'a"; drop table x; --', "1a", "sqlite_", "é_", "a".repeat(42), "$&"]) {
    test(`refuses ${JSON.stringify(prefix)} as prefix`, () => {
      expect(() => createSqliteAdapter({ file, prefix })).toThrow(
        expect.objectContaining({ code: "INVALID_ARGUMENT" }),
      );
    });
  }

  test("that is missing is refused by check, and no file is made", async () => {
    const outcome: unknown = await createSqliteStore({ file, schema: "check" }).catch((error: unknown) => error);
    expect(outcome).toMatchObject({ code: "SCHEMA_MISMATCH", details: { stored: 0, needed: 4 } });
    expect(() => new Database(file, { fileMustExist: true })).toThrow("unable to open");
  });

  test("that is newer is refused, and says to update the package", async () => {
    await (await createSqliteStore({ file })).close();
    openHandle().exec("insert into tidemark_migration values (5, 'from the future', 0)");
    for (const schema of ["check", "migrate"] as const) {
      const outcome: unknown = await createSqliteStore({ file, schema }).catch((error: unknown) => error);
      expect(outcome).toMatchObject({ code: "SCHEMA_MISMATCH", details: { stored: 5, needed: 4 } });
      expect(String(outcome)).toContain("Update @tidemark/adapter-sqlite");
    }
  });

  test("is opened without a write when it is up to date", async () => {
    await (await createSqliteStore({ file })).close();
    openHandle().exec("begin immediate");
    expect(await codeOf(open({ file, waitMs: 0 }))).toBe("resolved");
  });
});

test("a file in a folder that is missing is UNAVAILABLE", async () => {
  expect(await codeOf(createSqliteStore({ file: join(folder, "missing", "test.db") }))).toBe("UNAVAILABLE");
});

test("synchronous is full unless it is given", async () => {
  const store = await open({ file });
  expect(await store.transaction(async (tx) => tx.pragma("synchronous", { simple: true }))).toBe(2);
  const quick = await open({ file, synchronous: "normal" });
  expect(await quick.transaction(async (tx) => tx.pragma("synchronous", { simple: true }))).toBe(1);
});

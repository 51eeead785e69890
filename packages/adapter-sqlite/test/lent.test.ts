import { describe, expect, test } from "vitest";
import { codeOf, countEvents, file, open, placed } from "./fixture.ts";

describe("an iterator of the borrower", () => {
  test("that is left open does not keep the store from writing", async () => {
    const store = await open({ file });
    await store.transaction(async (tx, inside) => {
      tx.exec("create table note (text text); insert into note values ('a'), ('b')");
      tx.prepare("select text from note").iterate().next();
      await inside.append(placed("1"));
    });
    expect(await countEvents(store)).toBe(1);
  });

  test("that the store had to close says so instead of ending early", async () => {
    const store = await open({ file });
    const outcome = store.transaction(async (tx, inside) => {
      tx.exec("create table note (text text); insert into note values ('a'), ('b')");
      for (const text of tx.prepare("select text from note").pluck().iterate())
        await inside.append(placed(String(text)));
    });
    expect(await codeOf(outcome)).toBe("INVALID_ARGUMENT");
    expect(await countEvents(store)).toBe(0);
  });

  test("goes on while the store reads", async () => {
    const store = await open({ file });
    await store.append(placed("1"));
    const versions = await store.transaction(async (tx, inside) => {
      tx.exec("create table note (text text); insert into note values ('1'), ('2')");
      const seen: unknown[] = [];
      for (const id of tx.prepare("select text from note").pluck().iterate()) {
        for await (const event of inside.readAggregate({ type: "order", id: String(id) })) seen.push(event.version);
      }
      return seen;
    });
    expect(versions).toEqual([1]);
  });
});

describe("a pragma on a lent transaction", () => {
  const settings = [
    "pragma query_only = 1",
    "PRAGMA busy_timeout(60000)",
    "pragma main.synchronous=off",
    "pragma\njournal_mode = delete",
    "select 1; pragma foreign_keys = on",
    "/* ; */ pragma -- set\n locking_mode = exclusive",
    `pragma "wal_autocheckpoint" = 0`,
    "explain pragma busy_timeout = 1",
    "select 'it''s; fine'; pragma [query_only] (1)",
  ];

  test.each(settings)("that sets something of the connection is refused: %s", async (sql) => {
    const store = await open({ file });
    expect(await codeOf(store.transaction(async (tx) => tx.exec(sql)))).toBe("UNSUPPORTED");
    expect(await codeOf(store.transaction(async (tx) => tx.prepare(sql)))).toBe("UNSUPPORTED");
    expect(await codeOf(store.append(placed("1")))).toBe("resolved");
  });

  test("is refused by the driver's own method too", async () => {
    const store = await open({ file });
    expect(await codeOf(store.transaction(async (tx) => tx.pragma("query_only = 1")))).toBe("UNSUPPORTED");
    expect(await codeOf(store.append(placed("1")))).toBe("resolved");
  });

  test("that asks, or sets what the transaction holds, is fine", async () => {
    const store = await open({ file });
    await store.transaction(async (tx) => {
      expect(tx.pragma("table_info(tidemark_log)")).toHaveLength(2);
      expect(tx.prepare("pragma table_info('tidemark_log')").all()).toHaveLength(2);
      expect(tx.pragma("query_only", { simple: true })).toBe(0);
      tx.exec("pragma defer_foreign_keys = on; pragma main.user_version = 7");
      tx.exec("create table note (text text); insert into note values ('; pragma query_only = 1')");
      tx.exec("-- pragma query_only = 1\ninsert into note values ('pragma query_only(1)')");
    });
    expect(await store.transaction(async (tx) => tx.pragma("user_version", { simple: true }))).toBe(7);
  });
});

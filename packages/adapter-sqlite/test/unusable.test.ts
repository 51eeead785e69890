import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { createSqliteStore } from "@tidemark/adapter-sqlite";
import { isTransient } from "@tidemark/core";
import { describe, expect, test } from "vitest";
import { file, open, openHandle, placed } from "./fixture.ts";

describe("a file is UNUSABLE, which nobody tries again,", () => {
  async function expectUnusable(promise: Promise<unknown>): Promise<void> {
    const error: unknown = await promise.catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "UNUSABLE" });
    expect(String(error)).toContain(file);
    expect(isTransient(error)).toBe(false);
  }

  test("when it is no database", async () => {
    writeFileSync(file, "This is a shopping list. ".repeat(100));
    await expectUnusable(createSqliteStore({ file }));
  });

  test("when it is damaged", async () => {
    const store = await open({ file });
    for (let count = 0; count < 50; count++) await store.append(placed("1"));
    await store.close();
    const descriptor = openSync(file, "r+");
    for (let page = 1; page < 40; page++) writeSync(descriptor, Buffer.alloc(3_000, 0xff), 0, 3_000, page * 4096);
    closeSync(descriptor);
    await expectUnusable(createSqliteStore({ file }).then((opened) => opened.readAll()));
  });

  test("when it cannot be written", async () => {
    const handle = openHandle();
    const store = await open({ database: handle });
    handle.pragma("query_only = 1");
    handle.exec("begin");
    await expectUnusable(store.within(handle).append(placed("1")));
    handle.exec("rollback");
  });

  test("when it cannot grow", async () => {
    const handle = openHandle();
    const store = await open({ database: handle });
    handle.pragma("max_page_count = 1");
    handle.exec("begin immediate");
    const large = { ...placed("1"), events: [{ type: "placed", data: "x".repeat(100_000) }] };
    await expectUnusable(store.within(handle).append(large));
    // SQLite has rolled back by itself.
    expect(handle.inTransaction).toBe(false);
  });
});

test("a table of migrations that is empty is a mismatch, and says what to do", async () => {
  openHandle().exec("create table tidemark_migration (version integer primary key, name text, applied_at integer)");
  for (const schema of ["check", "migrate"] as const) {
    const error: unknown = await createSqliteStore({ file, schema }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "SCHEMA_MISMATCH" });
    expect(String(error)).toContain("another prefix");
  }
});

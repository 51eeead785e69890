import { symlinkSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { cleanups, codeOf, countEvents, file, folder, latch, open, openHandle, placed } from "./fixture.ts";

describe("a file that others write to as well", () => {
  test("lets their append through between long transactions that follow one another without pause", async () => {
    const [busy, other] = [await open({ file }), await open({ file })];
    let finished = 0;
    let over = false;
    const { promise: begun, resolve: hasBegun } = latch();
    const long = (): Promise<void> =>
      busy.transaction(async () => {
        hasBegun();
        await new Promise((resolve) => setTimeout(resolve, 30));
      });
    const catchingUp = (async () => {
      while (!over && finished < 100) {
        await long();
        finished += 1;
      }
    })();
    await begun;
    for (let append = 1; append <= 3; append++) {
      const before = finished;
      await other.append(placed("1"));
      expect(finished - before).toBeLessThanOrEqual(3);
    }
    over = true;
    await catchingUp;
  });

  test("says at once that a consumer which is held cannot be reset, whoever is writing", async () => {
    const [one, other] = [await open({ file }), await open({ file, waitMs: 0 })];
    await one.consumers.declare("bookkeeping", { kind: "projector" });
    await one.enterZone("bookkeeping");
    const { promise: lent, resolve: isLent } = latch();
    const { promise: end, resolve: finish } = latch();
    const transaction = one.transaction(async () => {
      isLent();
      await end;
    });
    await lent;
    expect(await codeOf(other.consumers.reset("bookkeeping", "beginning"))).toBe("ZONE_HELD");
    finish();
    await transaction;
  });
});

describe("two stores with different prefixes", () => {
  test("on one file do not wait for each other from inside a transaction", async () => {
    const link = join(folder, "link.db");
    const one = await open({ file, prefix: "one_" });
    symlinkSync(file, link);
    const other = await open({ file: link, prefix: "other_" });
    expect(await codeOf(one.transaction(() => other.append(placed("1"))))).toBe("WOULD_DEADLOCK");
    expect(await one.transaction(() => other.head())).toBe(0n);
  });

  test("on two files have nothing to do with each other", async () => {
    const [one, other] = [await open({ file }), await open({ file: join(folder, "other.db") })];
    await one.transaction(() => other.append(placed("1")));
    expect(await countEvents(other)).toBe(1);
  });

  test("on one database in memory do not even read", async () => {
    const database = openHandle(":memory:");
    const [one, other] = [await open({ database, prefix: "one_" }), await open({ database, prefix: "other_" })];
    expect(await codeOf(one.transaction(() => other.append(placed("1"))))).toBe("WOULD_DEADLOCK");
    expect(await codeOf(one.transaction(() => other.head()))).toBe("WOULD_DEADLOCK");
  });
});

describe("a borrowed handle", () => {
  test("with a busy timeout of its own waits with the event loop free, and keeps its timeout", async () => {
    const handle = new Database(file, { timeout: 60_000 });
    cleanups.push(() => handle.close());
    const store = await open({ database: handle });
    const holder = openHandle();
    holder.exec("begin immediate");
    setTimeout(() => holder.exec("commit"), 300);
    handle.exec("begin");
    await store.within(handle).append(placed("1"));
    handle.exec("commit");
    expect(await countEvents(store)).toBe(1);
    expect(handle.pragma("busy_timeout", { simple: true })).toBe(60_000);
  });

  test("with an iterator left open is told so", async () => {
    const handle = openHandle();
    const store = await open({ database: handle });
    handle.exec("create table note (text text); insert into note values ('a'), ('b')");
    handle.exec("begin immediate");
    const rows = handle.prepare("select text from note").iterate();
    rows.next();
    const refusal: unknown = await store
      .within(handle)
      .append(placed("1"))
      .catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(String(refusal)).toContain("iterator");
    rows.return?.();
    await store.within(handle).append(placed("1"));
    handle.exec("commit");
    expect(await countEvents(store)).toBe(1);
  });

  test("that has begun another transaction does not block those who were in the one before", async () => {
    const handle = openHandle();
    const store = await open({ database: handle });
    const { promise: over, resolve: isOver } = latch();
    const { promise: another, resolve: isAnother } = latch();
    const first = (async () => {
      handle.exec("begin immediate");
      await store.within(handle).append(placed("1"));
      handle.exec("commit");
      isOver();
      await another;
      return codeOf(store.append(placed("2")));
    })();
    await over;
    // Seen without a transaction, by somebody else than the flow of control that was in it.
    expect(await codeOf(store.within(handle).append(placed("3")))).toBe("TRANSACTION_REQUIRED");
    handle.exec("begin");
    isAnother();
    expect(await first).toBe("resolved");
    handle.exec("rollback");
  });
});

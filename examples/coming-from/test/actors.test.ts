import { createSqliteStore, type SqliteStore } from "@tidemark/adapter-sqlite";
import { createFlakeGenerator, type Snapshot } from "@tidemark/core";
import { expect, test, vi } from "vitest";
import { replay } from "../src/actors/account.ts";
import { deposit } from "../src/actors/deposit.ts";
import { snapshotBefore, statement } from "../src/actors/history.ts";
import { accountBehind, renumber } from "../src/actors/identities.ts";
import { report } from "../src/actors/inspect.ts";
import { load } from "../src/actors/load.ts";
import { type Accounts, openAccounts } from "../src/actors/open.ts";
import { storeSnapshot } from "../src/actors/snapshot.ts";

async function withAccounts(work: (accounts: Accounts, store: SqliteStore) => Promise<void>): Promise<void> {
  const store = await createSqliteStore({ file: ":memory:" });
  try {
    const accounts = await openAccounts(store, "a");
    const id = await accounts.actors.identities.resolve("4711");
    await accounts.events.storeEvents(id, [{ type: "opened", data: { owner: "Ada" } }]);
    await work(accounts, store);
  } finally {
    await store.close();
  }
}

/** A snapshot of what is stored, made from another one than the latest. */
async function storeFrom(accounts: Accounts, vector: string, ancestor: Snapshot | undefined): Promise<void> {
  const id = await accounts.actors.identities.resolve("4711");
  const since = await accounts.events.getEventsFor(id, ancestor?.lastEventId);
  const made = { account: replay(ancestor, since), lastEventId: since.at(-1)?.id };
  await storeSnapshot(accounts, { id, vector, ancestor, since, ...made });
}

test("a hundred events that have settled make a snapshot, from which the next one is loaded", () =>
  withAccounts(async (accounts) => {
    const begun = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now: begun });
    try {
      for (let n = 0; n < 99; n++) await deposit(accounts, "4711", 1);
      // Another node has minted an id, and not stored its event yet.
      const late = { id: createFlakeGenerator()(), type: "deposited", data: { amount: 1_000 } };
      vi.setSystemTime(begun + 1);
      for (let n = 0; n < 50; n++) await deposit(accounts, "4711", 1);
      expect((await load(accounts, "4711")).snapshot).toBeUndefined();
      vi.setSystemTime(begun + 5_000);
      const { id } = await load(accounts, "4711");
      await deposit(accounts, "4711", 1);
      expect((await load(accounts, "4711")).snapshot).toBeUndefined();
      await accounts.events.storeEvents(id, [late]);
      vi.setSystemTime(begun + 15_000);
      await deposit(accounts, "4711", 1);
    } finally {
      vi.useRealTimers();
    }
    const { account, snapshot, since } = await load(accounts, "4711");
    expect(account).toEqual({ owner: "Ada", balance: 1_151 });
    expect(snapshot).toMatchObject({ vector: "a:1", ancestor: "", state: { balance: 1_150 } });
    expect(since).toHaveLength(1);
    await expect(deposit(accounts, "4712", 1)).rejects.toThrow("There is no account 4712.");
  }));

test("siblings are healed by loading, as often as they come up", () =>
  withAccounts(async (accounts) => {
    await storeFrom(accounts, "a:1", undefined);
    const ancestor = (await load(accounts, "4711")).snapshot;
    await deposit(accounts, "4711", 10);
    await storeFrom(accounts, "a:2", ancestor);
    await deposit(accounts, "4711", 5);
    // The other node has not seen a:2.
    await storeFrom(accounts, "a:1;b:1", ancestor);
    expect(Array.isArray(await accounts.actors.fetch("4711"))).toBe(true);

    const loaded = await Promise.all([load(accounts, "4711"), load(accounts, "4711")]);
    for (const { account, snapshot } of loaded) {
      expect(account).toEqual({ owner: "Ada", balance: 15 });
      expect(snapshot).toMatchObject({ vector: "a:2;b:1", ancestor: "a:1" });
    }
  }));

test("siblings that were healed by another node with other events are what that one has made of them", () =>
  withAccounts(async (accounts) => {
    for (const vector of ["a:1", "b:1"]) await storeFrom(accounts, vector, undefined);
    const { id } = await load(
      {
        ...accounts,
        inTransaction: async (work) => {
          await accounts.actors.store("4711", "s", "a:1;b:1", { owner: "Ada", balance: 7, _ancestor: "" });
          return accounts.inTransaction(work);
        },
      },
      "4711",
    );
    expect(await accounts.actors.fetch(id)).toMatchObject({ state: { balance: 7 } });
  }));

test("a command that is repeated with its event's id does nothing twice", () =>
  withAccounts(async (accounts) => {
    const eventId = createFlakeGenerator()();
    for (let n = 0; n < 2; n++) await deposit(accounts, "4711", 10, eventId);
    expect((await load(accounts, "4711")).account.balance).toBe(10);
  }));

test("an account with more events than fit into a pack gets its snapshots, and is healed", () =>
  withAccounts(async (accounts) => {
    const id = await accounts.actors.identities.resolve("4711");
    const ids = createFlakeGenerator({ clock: () => Date.now() - 60_000 });
    const events = Array.from({ length: 10_000 }, () => ({ id: ids(), type: "deposited", data: { amount: 1 } }));
    await accounts.events.storeEvents(id, events);
    for (let n = 0; n < 2; n++) await deposit(accounts, "4711", 1);
    expect((await load(accounts, "4711")).snapshot).toMatchObject({ vector: "a:2", state: { balance: 10_000 } });
    await storeFrom(accounts, "b:1", undefined);
    const { account, snapshot } = await load(accounts, "4711");
    expect([account.balance, snapshot?.vector]).toEqual([10_002, "a:3;b:1"]);
  }));

test("an account has one id, whatever its number", () =>
  withAccounts(async (accounts) => {
    const id = await accounts.actors.getSystemId("4711");
    const day = new Date(Date.now() + 1);
    await vi.waitUntil(() => Date.now() > day.getTime());
    await renumber(accounts, "4711", "0815");
    expect((await load(accounts, "0815")).account.owner).toBe("Ada");
    expect(await accountBehind(accounts, "4711", day)).toBe(id);
    await expect(renumber(accounts, "1", "2")).rejects.toThrow("There is no account 1.");
  }));

test("history is read by date and by event", () =>
  withAccounts(async (accounts) => {
    const { id } = await load(accounts, "4711");
    const [may, june] = [new Date("2026-05-10T00:00:00Z"), new Date("2026-06-10T00:00:00Z")];
    const ids = createFlakeGenerator();
    const events = [may, june].map((occurredOn) => ({ id: ids(), type: "deposited", data: { amount: 1 }, occurredOn }));
    await accounts.events.storeEvents(id, events);
    const read: unknown[] = [];
    for await (const event of statement(accounts, id, new Date("2026-06-01T00:00:00Z"), june)) read.push(event.id);
    expect(read).toEqual([events[1]?.id]);
    expect(await snapshotBefore(accounts, id, String(events[0]?.id))).toBeUndefined();
    await storeFrom(accounts, "a:1", undefined);
    expect(await snapshotBefore(accounts, id, "zzz")).toMatchObject({ vector: "a:1" });
  }));

test("what is wrong with an ancestry is told and listed", () =>
  withAccounts(async (accounts) => {
    const warn = vi.spyOn(console, "warn").mockReturnValue();
    const { id } = await load(accounts, "4711");
    await accounts.actors.store(id, "s1", "a:5", { balance: 1, _ancestor: "a:4" });
    expect(await report(accounts, id)).toEqual(["1 snapshots", "a:5, made from a:4: missing-link"]);
    await accounts.actors.store(id, "s2", "b:1", { balance: 2, _ancestor: "" });
    await load(accounts, "4711");
    expect(warn.mock.calls).toContainEqual([`account ${id}: missing-link at a:5`]);
    warn.mockRestore();
  }));

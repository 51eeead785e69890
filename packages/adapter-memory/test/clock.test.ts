import { createMemoryAdapter, createMemoryDatabase, createMemoryStore } from "@tidemark/adapter-memory";
import { afterEach, describe, expect, test, vi } from "vitest";

const EVENT = { aggregate: { type: "account", id: "a" }, events: [{ type: "opened", data: 0 }] };

describe("an injected clock", () => {
  test("is what events are recorded by", async () => {
    const store = await createMemoryStore({ clock: () => 1_234.9 });
    await store.append(EVENT);
    expect((await store.readAll()).events).toMatchObject([{ recordedAt: new Date(1_234) }]);
  });

  test("is what leases and errors go by", async () => {
    let now = 1_000;
    const store = await createMemoryStore({ clock: () => now });
    await store.consumers.declare("mail", { kind: "projector" });
    expect(await store.enterZone("mail", { leaseMs: 60_000 })).toBeDefined();
    now += 59_999;
    expect(await store.enterZone("mail")).toBeUndefined();
    now += 1;
    expect(await store.enterZone("mail")).toBeDefined();
    await store.consumers.recordError("mail", new Error("full"));
    expect((await store.consumers.get("mail"))?.segments).toMatchObject([{ error: { since: new Date(61_000) } }]);
    await store.close();
  });

  test("that steps back puts no mapping of identities before an earlier one of either id", async () => {
    let now = 2_000;
    const { identities } = createMemoryAdapter({ database: createMemoryDatabase({ clock: () => now }) });
    await identities.map("account", "1", "A", {});
    now = 1_000;
    await identities.map("account", "2", "A", {});
    await identities.map("account", "2", "B", {});
    expect(await identities.systemId("account", "A", 1_999, {})).toBeUndefined();
    expect(await identities.systemId("account", "A", 2_000, {})).toBe("1");
    expect(await identities.systemId("account", "A", 2_001, {})).toBe("2");
    expect(await identities.actorId("account", "2", 2_001, {})).toBe("A");
    expect(await identities.actorId("account", "2", 2_002, {})).toBe("B");
  });

  test("that stands still keeps no mapping waiting", async () => {
    const { identities } = createMemoryAdapter({ database: createMemoryDatabase({ clock: () => 5 }) });
    for (const systemId of ["1", "2", "3"]) await identities.map("account", systemId, "A", {});
    const stood = [4, 5, 6, 7].map((time) => identities.systemId("account", "A", time, {}));
    expect(await Promise.all(stood)).toEqual([undefined, "1", "2", "3"]);
  });

  test("belongs to the database: a store that shares one is not given another", async () => {
    const options = { database: createMemoryDatabase(), clock: () => 0 };
    await expect(createMemoryStore(options)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

describe("without a clock", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  test("a faked Date.now moves no lease", async () => {
    const store = await createMemoryStore();
    await store.consumers.declare("mail", { kind: "projector" });
    await store.enterZone("mail", { leaseMs: 60_000 });
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_600_000 });
    expect(await store.enterZone("mail")).toBeUndefined();
    await store.close();
  });
});

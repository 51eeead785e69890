import { createMemoryDatabase, createMemoryStore } from "@tidemark/adapter-memory";
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

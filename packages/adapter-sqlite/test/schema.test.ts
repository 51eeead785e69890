import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSqliteAdapter, createSqliteStore } from "@tidemark/adapter-sqlite";
import { type Position, START, toPosition } from "@tidemark/core";
import type { Adapter, SnapshotChange, SnapshotState } from "@tidemark/core/spi";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const ACTOR = { type: "account", systemId: "1" };

/** Stores a snapshot that all heads went into. */
function follow(vector: string): (state: SnapshotState) => SnapshotChange {
  return ({ heads }) => ({
    row: {
      vector,
      snapshotId: vector,
      version: 1,
      ancestor: heads[0],
      lastEventId: vector,
      lastEventAt: 1,
      state: "{}",
    },
    isHead: true,
    dominated: heads,
  });
}

describe("a file that the first migration left", () => {
  let folder: string;
  let file: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "tidemark-sqlite-"));
    file = join(folder, "test.db");
    const handle = new Database(file);
    handle.exec(readFileSync(new URL("./version-1.sql", import.meta.url), "utf8"));
    handle.close();
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test("is refused by check, which says what is needed", async () => {
    const opening = createSqliteStore({ file, schema: "check" });
    await expect(opening).rejects.toMatchObject({ code: "SCHEMA_MISMATCH", details: { stored: 1, needed: 4 } });
  });

  test("keeps its log, events and consumers when it is migrated", async () => {
    await using store = await createSqliteStore({ file });
    expect(store.logId).toBe("5f0c1f0e-9d0f-4d53-a5a1-2f5b8c1d7e11");
    expect((await store.readAll()).events).toMatchObject([{ id: "e1", position: 3n, data: { total: 1999 } }]);
    expect(await store.consumers.checkpoint("revenue")).toBe(3n);
    expect(await store.consumers.isEnabled("revenue")).toBe(false);
    expect(await store.consumers.get("revenue")).toMatchObject({ active: true, layout: undefined });
    const aggregate = { type: "order", id: "42" };
    expect(await store.append({ aggregate, events: [{ type: "paid", data: {} }] })).toMatchObject({ last: 2 });
  });

  test("has room for the new records once it is migrated", async () => {
    await (await createSqliteStore({ file })).close();
    const adapter = createSqliteAdapter({ file });
    await adapter.open("check", {});
    const association = { property: "order", value: "42" };
    await adapter.transaction(async (tx) => {
      await adapter.within(tx).sagas.insert("payment", { id: "1", associations: [association], data: "{}" }, {});
    }, {});
    expect(await adapter.sagas.find("payment", association, {})).toMatchObject([{ id: "1", version: 1 }]);
    expect(await adapter.identities.resolve("account", "DE-1", "1", {})).toBe("1");
    await adapter.snapshots.store(ACTOR, "a:1", follow("a:1"), {});
    expect(await adapter.snapshots.heads(ACTOR, {})).toMatchObject([{ vector: "a:1", ancestor: undefined }]);
    await adapter.packs.store(ACTOR, "a:1", "[]", {});
    expect(await adapter.packs.get(ACTOR, "a:1", {})).toBe("[]");
    await adapter.close();
  });
});

describe("an index serves", () => {
  let handle: Database.Database;
  let adapter: Adapter<Database.Database>;
  const executed: string[] = [];
  const consumer = { name: "revenue", version: 1 };
  const segment = { ...consumer, generation: 1, segment: 0 };

  beforeEach(async () => {
    handle = new Database(":memory:", { verbose: (sql) => executed.push(String(sql)) });
    adapter = createSqliteAdapter({ database: handle });
    await adapter.open("migrate", {});
  });

  afterEach(() => handle.close());

  /** How SQLite goes about the queries and changes of a call. */
  async function planOf(call: () => Promise<unknown>): Promise<readonly string[]> {
    executed.length = 0;
    await call();
    return executed
      .filter((sql) => /^\s*(select|update|delete|with)/.test(sql))
      .flatMap((sql) => handle.prepare(`explain query plan ${sql}`).all().map(decodeStep));
  }

  function inTransaction(work: (port: ReturnType<typeof adapter.within>) => Promise<unknown>): () => Promise<unknown> {
    return () => adapter.transaction((tx) => work(adapter.within(tx)), {});
  }

  const page = { after: START, limit: 10, requested: false, sequence: undefined };
  const at = (position: number): Position => toPosition(position);
  const ref = { context: "default", type: "account", id: "1" };
  const eventIds = { ref, after: "e1", until: undefined, from: 1, to: undefined, limit: 10, bytes: 1e6 };
  const saga = { id: "1", version: 1, associations: [{ property: "order", value: "42" }], data: "{}" };

  const calls: Readonly<Record<string, () => () => Promise<unknown>>> = {
    "a saga by its id": () => () => adapter.sagas.get("payment", "1", {}),
    "sagas by an association": () => () => adapter.sagas.find("payment", { property: "order", value: "42" }, {}),
    "a page of sagas": () => () => adapter.sagas.list("payment", "1", 10, {}),
    "a saga's change": () => inTransaction(({ sagas }) => sagas.update("payment", saga, {})),
    "a saga's end": () => inTransaction(({ sagas }) => sagas.remove("payment", "1", 1, {})),
    "due deadlines": () => () => adapter.deadlines.due("payment", 10, {}),
    "a page of letters": () => () => adapter.deadLetters.list(consumer, page, {}),
    "requested letters": () => () => adapter.deadLetters.list(consumer, { ...page, requested: true }, {}),
    "letters of a sequence": () => () => adapter.deadLetters.list(consumer, { ...page, sequence: "s" }, {}),
    "whether there are letters": () => inTransaction(({ deadLetters }) => deadLetters.any(consumer, {})),
    "which sequences are parked": () =>
      inTransaction(({ deadLetters }) => deadLetters.parked(consumer, ["s", "t"], at(9), {})),
    "how many letters a sequence has": () => inTransaction(({ deadLetters }) => deadLetters.count(consumer, "s", {})),
    "marking those that wait": () =>
      inTransaction(({ deadLetters }) => deadLetters.requestWaiting(consumer, ["s", "t"], {})),
    "a letter's removal": () => inTransaction(({ deadLetters }) => deadLetters.remove(consumer, at(1), {})),
    "the sweep of claims": () => () => adapter.claims.sweep(consumer, 1, {}),
    "a look": () => () => adapter.consumers.look([{ key: consumer, saga: "payment" }], {}),
    "an actor's heads": () => () => adapter.snapshots.heads(ACTOR, {}),
    "a snapshot by its vector": () => () => adapter.snapshots.get(ACTOR, "a:1", {}),
    "a snapshot's storing": () => async () => {
      await adapter.snapshots.store(ACTOR, "a:1", follow("a:1"), {});
      await adapter.snapshots.store(ACTOR, "a:2", follow("a:2"), {});
    },
    "a page of links": () => () => adapter.snapshots.links(ACTOR, "a:1", 10, {}),
    "the snapshot at an event": () => () => adapter.snapshots.atEvent(ACTOR, "e1", {}),
    "the snapshot at a time": () => () => adapter.snapshots.atTime(ACTOR, 1, {}),
    "a system id at a time": () => () => adapter.identities.systemId("account", "DE-1", 1, {}),
    "an actor id at a time": () => () => adapter.identities.actorId("account", "1", 1, {}),
    "an identity's mapping": () => () => adapter.identities.map("account", "1", "DE-1", {}),
    "a pack": () => () => adapter.packs.get(ACTOR, "a:1", {}),
    "a page of events by id": () => () => adapter.readEventsById(eventIds, {}),
    completions: () => inTransaction(({ completions }) => completions.record(segment, [at(2)], at(1), {})),
  };

  test.each(Object.keys(calls))("%s", async (name) => {
    const plan = await planOf(calls[name]?.() ?? expect.fail(name));
    expect(plan).toContainEqual(expect.stringMatching(/^SEARCH .* USING (COVERING |)(INDEX|PRIMARY KEY)/));
    // A list that was given as a parameter is walked through, and the few texts of one saga or letter are sorted.
    expect(plan).not.toContainEqual(expect.stringMatching(/^SCAN (?!json_each|CONSTANT ROW)|B-TREE FOR ORDER BY/));
  });

  test("requested letters, of which there are few, without reading the others", async () => {
    const plan = await planOf(() => adapter.deadLetters.list(consumer, { ...page, requested: true }, {}));
    expect(plan).toContainEqual(expect.stringContaining("INDEX tidemark_dead_letter_requested"));
  });

  test("an actor's heads, without reading its history", async () => {
    const plan = await planOf(() => adapter.snapshots.heads(ACTOR, {}));
    expect(plan).toEqual([expect.stringContaining("INDEX tidemark_snapshot_head (type=? AND system_id=?)")]);
  });

  test("the snapshot at an event and at a time, without reading the ones before it", async () => {
    expect(await planOf(() => adapter.snapshots.atEvent(ACTOR, "e1", {}))).toEqual([
      expect.stringContaining("INDEX tidemark_snapshot_event (type=? AND system_id=? AND last_event_id<?)"),
    ]);
    expect(await planOf(() => adapter.snapshots.atTime(ACTOR, 1, {}))).toEqual([
      expect.stringContaining("INDEX tidemark_snapshot_time (type=? AND system_id=? AND last_event_at<?)"),
    ]);
  });

  test("each link of a chain", async () => {
    const plan = await planOf(() => adapter.snapshots.chain(ACTOR, "a:1", 10, {}));
    expect(plan).toContainEqual(expect.stringMatching(/^SEARCH tidemark_snapshot .*system_id=\? AND vector=\?/));
    expect(plan).toContainEqual(expect.stringMatching(/^SEARCH snapshot .*system_id=\? AND vector=\?/));
    expect(plan).not.toContainEqual(expect.stringMatching(/^SCAN (?!chain)/));
  });

  test("both ends of a page of events by id", async () => {
    const plan = await planOf(() => adapter.readEventsById(eventIds, {}));
    expect(plan).toEqual([expect.stringContaining("aggregate_id=? AND event_id>? AND event_id<?)")]);
  });
});

function decodeStep(row: unknown): string {
  return (row as { readonly detail: string }).detail;
}

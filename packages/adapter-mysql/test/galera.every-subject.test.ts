import { createMysqlAdapter, createMysqlStore, type MysqlOptions, type MysqlStore } from "@tidemark/adapter-mysql";
import { type AppendRequest, isTidemarkError, isTransient, type StoreOptions, toPosition } from "@tidemark/core";
import { type Galera, type GaleraNode, startGalera } from "@tidemark/test-servers/galera";
import { describeWithGalera } from "@tidemark/test-servers/galera-vitest";
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { codeOf, latch, placed, thrownBy, until } from "./fixture.ts";
import { follow, range } from "./follow.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 300_000 });

/** Most of a while that a node is silent the others wait for it. */
const PATIENT = { attempts: 60, minDelayMs: 50, maxDelayMs: 500 } as const;
/** How long they do, and some time. */
const SILENCE_MS = 90_000;

describeWithGalera(() => {
  let galera: Galera;
  let prefix: string;
  let count = 0;
  const cleanups: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    galera = await startGalera();
  });
  afterAll(() => galera.stop());
  beforeEach(() => {
    prefix = `t${++count}_`;
  });
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  });

  function node(index: number): GaleraNode {
    return galera.nodes[index] ?? expect.fail(`There is no node ${index}.`);
  }

  async function open(
    index: number,
    settings: Omit<MysqlOptions & StoreOptions, "connection" | "pool"> = {},
  ): Promise<MysqlStore> {
    if (index > 0) await caughtUp(index);
    const options = { prefix, ordering: "counter", schema: index === 0 ? "migrate" : "check", ...settings } as const;
    const store = await createMysqlStore({ connection: node(index).url, ...options });
    cleanups.push(() => store.close());
    return store;
  }

  /** What was migrated on another node may be under way to this one. */
  async function caughtUp(index: number): Promise<void> {
    const client = await connect(index);
    await rowsOf(client, "select table_name from information_schema.tables limit 1");
    await client.end();
  }

  async function connect(index: number): Promise<Connection> {
    const client = await createConnection({ uri: node(index).url, multipleStatements: true });
    client.on("error", () => undefined);
    cleanups.push(() => client.end().catch(() => undefined));
    return client;
  }

  /** A statement that sees what was committed on every node before. */
  async function rowsOf(client: Connection, sql: string): Promise<readonly RowDataPacket[]> {
    await client.query("set session wsrep_sync_wait = 1");
    return (await client.query<RowDataPacket[]>(sql))[0];
  }

  /** Which positions are taken, in order, as one node has them. */
  async function log(index: number): Promise<readonly string[]> {
    const rows = await rowsOf(
      await connect(index),
      `select convert(aggregate_id using utf8mb4) as id, version from ${prefix}event order by position`,
    );
    return rows.map(({ id, version }) => `${String(id)}@${String(version)}`);
  }

  test("the default ordering is refused on every node, with advice, also where the tables are there", async () => {
    for (const index of [0, 1, 2]) {
      for (const schema of ["migrate", "check"] as const) {
        const refused = await thrownBy(open(index, { ordering: "frontier", schema }));
        expect(refused).toMatchObject({ code: "UNUSABLE" });
        expect(String(refused)).toContain('ordering: "counter"');
        expect(isTransient(refused)).toBe(false);
      }
    }
    await open(0);
    expect(await codeOf(open(1, { ordering: "frontier" }))).toBe("UNUSABLE");
  });

  test("appends through all nodes at once are in one order, without gaps, for readers on every node", async () => {
    const stores = [await open(0), await open(1), await open(2)];
    const readers = stores.map(follow);
    let isOver = false;
    const reading = readers.map(async (reader) => {
      while (!isOver) await reader.poll();
    });
    const acknowledged = await appendEverywhere(stores, 40);
    isOver = true;
    await Promise.all(reading);
    const written = await log(0);
    expect(written.toSorted()).toEqual(acknowledged.toSorted());
    for (const [index, reader] of readers.entries()) {
      await until(async () => (await reader.poll(), reader.seen.length === written.length));
      expect(reader.seen).toEqual(written);
      expect(await log(index)).toEqual(written);
    }
    const { events } = await at(stores, 0).readAll();
    expect(events.map(({ position }) => Number(position))).toEqual(range(written.length));
  });

  test("of two that append to an aggregate with the version that both have seen, on two nodes, one does", async () => {
    const stores = [await open(0), await open(1), await open(2)];
    for (const round of range(15)) {
      const expected = round === 1 ? ("none" as const) : round - 1;
      const codes = await Promise.all(
        stores.map((store) => codeOf(store.append({ ...placed("contested"), expected }))),
      );
      expect(codes.filter((code) => code === "resolved")).toHaveLength(1);
      expect(codes.filter((code) => code !== "resolved" && code !== "VERSION_CONFLICT")).toEqual([]);
    }
    expect(await log(0)).toEqual(range(15).map((n) => `contested@${n}`));
  });

  test("what was committed on another node fails a transaction of mine with CONTENTION, at a statement or at commit", async () => {
    const [store, other] = [await open(0), await open(1)];
    await store.append(placed("known"));
    const [isLent, isFirst] = [latch(), latch()];
    const lent = store.transaction(async (_tx, inside) => {
      await inside.append(placed("lost"));
      isLent.resolve();
      await isFirst.promise;
    });
    await isLent.promise;
    await other.append(placed("first"));
    isFirst.resolve();
    const error = await thrownBy(lent);
    expect(error).toMatchObject({ code: "CONTENTION", cause: { errno: 1213 } });
    expect(isTransient(error)).toBe(true);

    const client = await connect(0);
    await client.beginTransaction();
    await beside(() => store.within(client).append(placed("lost")));
    await other.append(placed("second"));
    expect(await thrownBy(client.commit())).toMatchObject({ errno: 1213 });
    await client.rollback();

    await client.beginTransaction();
    await beside(() => store.within(client).append(placed("lost")));
    await other.append(placed("third"));
    await until(async () => (await log(0)).includes("third@1"));
    const after = await codeOf(beside(() => store.within(client).append(placed("lost"))));
    expect(["CONTENTION", "TRANSACTION_REQUIRED"]).toContain(after);
    await client.rollback();

    let attempts = 0;
    const [isBegun, isFourth] = [latch(), latch()];
    const again = store.transaction(
      async (_tx, inside) => {
        attempts += 1;
        await inside.append(placed("kept"));
        isBegun.resolve();
        await isFourth.promise;
      },
      { retry: "transient" },
    );
    await isBegun.promise;
    await other.append(placed("fourth"));
    isFourth.resolve();
    await again;
    expect(attempts).toBeGreaterThanOrEqual(2);
    expect(await log(2)).toEqual(["known@1", "first@1", "second@1", "third@1", "fourth@1", "kept@1"]);
  });

  describe("a zone", () => {
    const key = { name: "bookkeeping", version: 1, generation: 1, segment: 0 } as const;
    const consumer = { name: "bookkeeping", version: 1 } as const;

    test("that was taken over on another node commits no effect of the one that had it", async () => {
      const [mine, others] = await adapters();
      const client = await connect(2);
      await client.query(
        `create table ${prefix}effect (id int auto_increment primary key, token bigint, position bigint)`,
      );
      const outcomes = { stale: 0, committed: 0, refused: 0 };
      let position = 0;
      for (const round of range(40)) {
        const entry = await persistently(() => mine.zones.enter(key, { owner: "mine", ms: 1 }, {}));
        if (entry.kind !== "entered") throw new Error(`It is ${entry.kind}.`);
        position = Number(entry.position);
        const fenced = latch();
        const working = mine.transaction(async (tx) => {
          await tx.query(`insert into ${prefix}effect (token, position) values (?, ?)`, [entry.token, position]);
          const moved = await mine.within(tx).fence(
            {
              key,
              token: entry.token,
              from: entry.position,
              to: toPosition(position + 1),
              leaseMs: 1,
              clearError: true,
            },
            {},
          );
          fenced.resolve();
          if (!moved) throw new Error("fenced");
          // Early, in the midst of the other's commit, late.
          await new Promise((resolve) => setTimeout(resolve, round % 8));
        }, {});
        const ending = working.then(
          () => "committed",
          (error: unknown) => (isTidemarkError(error, "CONTENTION") ? "CONTENTION" : String(error)),
        );
        await fenced.promise;
        await new Promise((resolve) => setTimeout(resolve, round % 4));
        const taken = await persistently(() => others.zones.enter(key, { owner: "other", ms: 1 }, {}));
        const how = await ending;
        if (how === "committed") {
          outcomes.committed += 1;
          if (taken.kind === "entered" && Number(taken.position) !== position + 1) outcomes.stale += 1;
        } else {
          expect(how).toBe("CONTENTION");
          outcomes.refused += 1;
        }
        if (taken.kind === "entered") await others.zones.leave(key, taken.token, {});
        await until(async () => (await mine.zones.enter(key, { owner: "mine", ms: 1 }, {})).kind === "entered");
        await new Promise((resolve) => setTimeout(resolve, 3));
      }
      expect(outcomes.stale).toBe(0);
      expect(outcomes.committed + outcomes.refused).toBe(40);
      const effects = await rowsOf(client, `select position from ${prefix}effect order by position`);
      expect(effects.map(({ position: at }) => Number(at))).toEqual(range(outcomes.committed).map((n) => n - 1));
      const [segment] = await rowsOf(client, `select position from ${prefix}consumer_segment`);
      expect(segment).toMatchObject({ position: outcomes.committed });
    });

    test("is entered by one of those that try on all nodes at once", async () => {
      const all = await adapters();
      const tokens: bigint[] = [];
      for (const _ of range(20)) {
        const entries = await Promise.all(
          all.map((adapter, n) => persistently(() => adapter.zones.enter(key, { owner: `${n}`, ms: 60_000 }, {}))),
        );
        const entered = entries.flatMap((entry, n) => (entry.kind === "entered" ? [{ n, token: entry.token }] : []));
        expect(entered).toHaveLength(1);
        const [{ n, token } = { n: 0, token: 0n }] = entered;
        tokens.push(token);
        await persistently(() => at(all, n).zones.leave(key, token, {}));
        const client = await connect(0);
        await rowsOf(client, "select 1 from dual");
        await client.end();
      }
      expect(tokens).toEqual([...new Set(tokens)].toSorted((a, b) => (a < b ? -1 : 1)));
    });

    async function adapters() {
      const opened = [];
      for (const index of [0, 1, 2]) {
        await caughtUp(index);
        const adapter = createMysqlAdapter({ connection: node(index).url, prefix, ordering: "counter" });
        const { logId } = await adapter.open(index === 0 ? "migrate" : "check", {});
        cleanups.push(() => adapter.close());
        opened.push({ adapter, logId });
      }
      const [first, ...others] = opened.map(({ adapter }) => adapter);
      if (first === undefined) throw new Error("There is no adapter.");
      const logId = opened[0]?.logId ?? "";
      const declared = { key: consumer, kind: "projector", segments: 1, start: "{}", position: toPosition(0), logId };
      await first.consumers.declare(declared as Parameters<(typeof first)["consumers"]["declare"]>[0], {});
      await until(async () => (await at(others, 1).consumers.get(consumer, {}))?.segments.length === 1);
      await until(async () => (await at(others, 0).consumers.get(consumer, {}))?.segments.length === 1);
      return [first, at(others, 0), at(others, 1)] as const;
    }
  });

  test("migrations on all nodes at once end with one log", async () => {
    const opened = await Promise.all(
      [0, 1, 2, 0, 1, 2].map((index) => persistently(() => open(index, { schema: "migrate" }))),
    );
    expect(new Set(opened.map(({ logId }) => logId)).size).toBe(1);
    await at(opened, 1).append(placed("1"));
    expect(await log(2)).toEqual(["1@1"]);
  });

  test("a transaction that is larger than the cluster takes fails, and nothing of it is there", async () => {
    const store = await open(0);
    const admin = await connect(0);
    await admin.query("set global wsrep_max_ws_size = 65536");
    try {
      const large: AppendRequest = {
        aggregate: { type: "order", id: "large" },
        events: [{ type: "placed", data: "x".repeat(500_000) }],
      };
      const error = await thrownBy(store.append(large));
      expect(error).toMatchObject({ code: "UNUSABLE" });
      expect(String(error)).toContain("wsrep_max_ws_size");
      expect(await codeOf(store.transaction((_tx, inside) => inside.append(large)))).toBe("UNUSABLE");
      await store.append(placed("small"));
      expect(await log(1)).toEqual(["small@1"]);
    } finally {
      await admin.query("set global wsrep_max_ws_size = 2147483647");
    }
  });

  test(
    "a node that is killed in the midst of appends loses nothing that was acknowledged",
    { timeout: 300_000 },
    async () => {
      const stores = [
        await open(0, { retry: PATIENT }),
        await open(1, { retry: PATIENT }),
        await open(2, { retry: { attempts: 1 } }),
      ];
      const readers = stores.map(follow);
      let isOver = false;
      const reading = readers.slice(0, 2).map(async (reader) => {
        while (!isOver) await reader.poll();
      });
      const acknowledged: string[] = [];
      const writing = stores.map(async (store, index) => {
        for (let n = 0; !isOver; n++) {
          const id = `${index}-${n}`;
          const failed = await thrownBy(store.append(placed(id)).then(() => acknowledged.push(`${id}@1`)));
          if (failed === "resolved") continue;
          expect(isTransient(failed)).toBe(true);
          // The dead one.
          if (index === 2) return;
        }
      });
      await until(() => acknowledged.length >= 60, 60_000);
      await readers[2]?.poll();
      await node(2).kill();
      const before = acknowledged.length;
      // The others stop, until they are sure, and then go on.
      await vi.waitFor(() => expect(acknowledged.length).toBeGreaterThan(before + 60), { timeout: SILENCE_MS });
      isOver = true;
      await Promise.all([...writing, ...reading]);
      expect(await codeOf(at(stores, 2).append(placed("dead")))).toBe("UNAVAILABLE");

      await node(2).restart();
      const written = await log(2);
      expect(new Set(written).size).toBe(written.length);
      expect(acknowledged.filter((id) => !written.includes(id))).toEqual([]);
      for (const [index, reader] of readers.entries()) {
        expect(await log(index)).toEqual(written);
        await until(async () => (await reader.poll(), reader.seen.length === written.length));
        expect(reader.seen).toEqual(written);
      }
      await at(stores, 2).append(placed("back"));
      expect((await log(0)).at(-1)).toBe("back@1");
    },
  );

  // The last one: it leaves a node alone, and brings the others back.
  test("a node without the majority says so in ways that let callers try again", { timeout: 240_000 }, async () => {
    const store = await open(0, { retry: { attempts: 1 } });
    const waiting = await open(0, { retry: { attempts: 1 } });
    await store.append(placed("before"));
    const [isLent, isAlone] = [latch(), latch()];
    const committing = thrownBy(
      waiting.transaction(async (_tx, inside) => {
        await inside.append(placed("during"));
        isLent.resolve();
        await isAlone.promise;
      }),
    );
    await isLent.promise;
    await Promise.all([node(1).kill(), node(2).kill()]);
    // Under way while the majority goes: the server says 1180, or 1047 where it knows already.
    isAlone.resolve();
    const during = await committing;
    expect(during).toMatchObject({ code: "UNAVAILABLE" });
    expect([1180, 1047]).toContain(errnoOf(during));
    await until(() => node(0).state()?.primary === false);

    const lent = thrownBy(waiting.transaction((_tx, inside) => inside.append(placed("after"))));
    for (const error of [
      await thrownBy(store.append(placed("after"))),
      await thrownBy(store.readAll()),
      await thrownBy(store.head()),
      await lent,
      await thrownBy(open(0)),
      await thrownBy(store.consumers.get("bookkeeping")),
    ]) {
      expect(error).toMatchObject({ code: "UNAVAILABLE", cause: { errno: 1047 } });
      expect(isTransient(error)).toBe(true);
    }
    const admin = await connect(0);
    await admin.query("set global wsrep_sync_wait = 1");
    const synced = await thrownBy(open(0));
    expect(synced).toMatchObject({ code: "BUSY", cause: { errno: 1205 } });
    await admin.query("set global wsrep_sync_wait = 0").catch(() => undefined);

    await Promise.all([node(1).restart(), node(2).restart()]);
    await persistently(() => store.append(placed("back")));
    const written = await log(1);
    expect(written[0]).toBe("before@1");
    expect(written.at(-1)).toBe("back@1");
    expect(written).not.toContain("during@1");
    expect(written).not.toContain("after@1");
    expect(await follow(store).poll()).toEqual(written);
  });

  async function appendEverywhere(stores: readonly MysqlStore[], each: number): Promise<readonly string[]> {
    const acknowledged: string[] = [];
    await Promise.all(
      stores.map(async (store, index) => {
        for (const n of range(each)) {
          const id = `${index}-${n}`;
          await persistently(() => store.append(placed(id)));
          acknowledged.push(`${id}@1`);
          const lent = `${index}-${n}-lent`;
          if (n % 4 === 0) {
            await persistently(() => store.transaction((_tx, inside) => inside.append(placed(lent))));
            acknowledged.push(`${lent}@1`);
          }
        }
      }),
    );
    return acknowledged;
  }
});

/** By itself, beside what else the test does: core marks the flow of control that is inside a transaction. */
async function beside<T>(work: () => Promise<T>): Promise<T> {
  await new Promise((resolve) => setTimeout(resolve));
  return work();
}

/** Again, when others were first or a node is not ready. */
async function persistently<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === 1_000 || !isTransient(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

function at<T>(items: readonly T[], index: number): T {
  return items[index] ?? expect.fail(`There is none at ${index}.`);
}

/** What the server has said. */
function errnoOf(error: unknown): unknown {
  return error instanceof Error && error.cause instanceof Error ? Reflect.get(error.cause, "errno") : undefined;
}

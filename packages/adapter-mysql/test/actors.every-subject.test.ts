import { createMysqlAdapter, type MysqlAdapter } from "@tidemark/adapter-mysql";
import { compareBytes, type SnapshotRow, type TransactionPort } from "@tidemark/core/spi";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import type { Connection, Pool, RowDataPacket } from "mysql2/promise";
import { describe, expect, test } from "vitest";
import {
  cleanups,
  codeOf,
  connect,
  database,
  FLAVOURS,
  openPool,
  rowsOf,
  thrownBy,
  threads,
  until,
  url,
  useDatabase,
} from "./fixture.ts";

for (const flavour of FLAVOURS) {
  describeWithServer(flavour, (server) => {
    useDatabase(server);

    const actor = { type: "account", systemId: "s" };

    // MariaDB refuses to change what has changed since, from 11.6 on; all others change it as it is now.
    describe.each(["repeatable read", "serializable"])("in a caller's transaction that is %s", (level) => {
      test.each([["there was one"], ["there was none"]])(
        "where %s, a snapshot is decided by what others have stored since it began, or CONTENTION",
        async (before) => {
          const adapter = await openAdapter();
          if (before === "there was one") await storeHead(adapter, "v:1");
          const client = await beginAt(level);
          await storeHead(adapter, "v:2");
          const inside = adapter.within(client);
          let seen: readonly string[] = [];
          const code = await codeOf(storeHead(inside, "w:1", (heads) => (seen = heads)));
          if (code === "CONTENTION") return;
          const [others, all] = [seen, (await inside.snapshots.heads(actor, {})).map(({ vector }) => vector)];
          expect(others).toContain("v:2");
          expect(all).toEqual([...others, "w:1"]);
        },
      );

      test("the same snapshot is found that somebody else has stored since it began, or CONTENTION", async () => {
        const adapter = await openAdapter();
        const client = await beginAt(level);
        await adapter.snapshots.store(actor, "v:1", () => headed(rowOf("v:1", "[1]")), {});
        const stored: (string | undefined)[] = [];
        const inside = adapter.within(client);
        const decide = (state: { readonly stored: SnapshotRow | undefined }) => {
          stored.push(state.stored?.state);
          return state.stored === undefined ? headed(rowOf("v:1", "[2]")) : undefined;
        };
        const code = await codeOf(inside.snapshots.store(actor, "v:1", decide, {}));
        if (code === "CONTENTION") return;
        await client.query("commit");
        expect(stored.at(-1)).toBe("[1]");
        expect(await adapter.snapshots.heads(actor, {})).toMatchObject([{ state: "[1]" }]);
      });

      test("an id resolves to what somebody else has mapped it to since it began, or CONTENTION", async () => {
        const adapter = await openAdapter();
        const client = await beginAt(level);
        await adapter.identities.map("account", "first", "a", {});
        const { identities } = adapter.within(client);
        let resolved: string | undefined;
        const code = await codeOf(identities.resolve("account", "a", "late", {}).then((id) => (resolved = id)));
        if (code === "CONTENTION") return;
        expect([resolved, await identities.systemId("account", "a", undefined, {})]).toEqual(["first", "first"]);
      });

      test("a mapping follows those that others have made since it began, or CONTENTION", async () => {
        const adapter = await openAdapter();
        await adapter.identities.map("account", "first", "a", {});
        const client = await beginAt(level);
        await adapter.identities.map("account", "second", "a", {});
        const { identities } = adapter.within(client);
        const code = await codeOf(identities.map("account", "first", "a", {}));
        if (code === "CONTENTION") return;
        await client.query("commit");
        expect(await adapter.identities.systemId("account", "a", undefined, {})).toBe("first");
        expect(await mappings()).toEqual(["first", "second", "first"]);
      });
    });

    test("in REPEATABLE READ, what is new of several actors does not keep others from theirs", async () => {
      const adapter = await openAdapter();
      const [a, b] = [await beginAt("repeatable read"), await beginAt("repeatable read")];
      for (const n of [1, 2, 3]) {
        for (const [name, client] of Object.entries({ a, b })) {
          const { snapshots, identities, packs } = adapter.within(client);
          const own = { type: "account", systemId: `${n}${name}` };
          await snapshots.store(own, "v:1", () => headed(rowOf("v:1")), {});
          await identities.resolve("account", `id-${n}${name}`, own.systemId, {});
          await packs.store(own, "v:1", "[]", {});
        }
      }
      await Promise.all([a.query("commit"), b.query("commit")]);
      expect(await adapter.identities.systemId("account", "id-3b", undefined, {})).toBe("3b");
    });

    test("who stores a snapshot beside an open transaction that has waits, and decides by what it has left", async () => {
      const [adapter, client, watcher] = [await openAdapter(), await connect(), await connect()];
      await client.query("start transaction");
      await storeHead(adapter.within(client), "a:1");
      let seen: readonly string[] | undefined;
      const waiting = storeHead(adapter, "b:1", (heads) => (seen = heads));
      await until(async () => (await threads(watcher)).some(({ info }) => info.includes("tidemark_actor")));
      expect([seen, await adapter.snapshots.heads(actor, {})]).toEqual([undefined, []]);
      await client.query("commit");
      await waiting;
      expect(seen).toEqual(["a:1"]);
    });

    test("what a decision throws leaves a caller's transaction usable, with nothing written", async () => {
      const [adapter, client] = [await openAdapter(), await connect()];
      await client.query("start transaction");
      const refuse = (): never => {
        throw new Error("refused");
      };
      const refused = await thrownBy(adapter.within(client).snapshots.store(actor, "a:1", refuse, {}));
      await storeHead(adapter.within(client), "b:1");
      await client.query("commit");
      expect(refused).toMatchObject({ message: "refused" });
      expect(await adapter.snapshots.heads(actor, {})).toMatchObject([{ vector: "b:1" }]);
      expect(await adapter.snapshots.get(actor, "a:1", {})).toBeUndefined();
    });

    test("of vectors that share what the index has of them, links are in order and none is left out", async () => {
      const adapter = await openAdapter();
      const vectors = ["c", "a", "b"].map((end) => `${"n".repeat(3_900)}${end}:1`).concat("z:1", "é:1", "");
      for (const vector of vectors) await storeHead(adapter, vector);
      const found: string[] = [];
      for (let after: string | undefined; ; after = found.at(-1)) {
        const page = await adapter.snapshots.links(actor, after, 1, {});
        if (page.length === 0) break;
        found.push(...page.map(({ vector }) => vector));
      }
      expect(found).toEqual(vectors.toSorted(compareBytes));
    });

    test("of vectors that differ at their ends only, the greatest is the one at an event and at a time", async () => {
      const adapter = await openAdapter();
      const vectors = ["a", "c", "b"].map((end) => `${"n".repeat(3_900)}${end}:1`);
      for (const vector of vectors) {
        const row = { ...rowOf(vector), lastEventId: "e", lastEventAt: 1 };
        await adapter.snapshots.store(actor, vector, () => headed(row), {});
      }
      expect(await adapter.snapshots.atEvent(actor, "e", {})).toMatchObject({ vector: vectors[1] });
      expect(await adapter.snapshots.atTime(actor, 1, {})).toMatchObject({ vector: vectors[1] });
    });

    test("the longest keys fit into the indexes", async () => {
      const adapter = await openAdapter();
      const longest = { type: noise(100), systemId: noise(400) };
      const vector = `${noise(3_996)}:1`;
      const row = { ...rowOf(vector), snapshotId: noise(200), lastEventId: noise(200), lastEventAt: 1 };
      await adapter.snapshots.store(longest, vector, () => headed({ ...row, ancestor: vector }), {});
      expect(await adapter.snapshots.heads(longest, {})).toEqual([{ ...row, ancestor: vector }]);
      await adapter.identities.map(longest.type, longest.systemId, noise(400), {});
      await adapter.packs.store(longest, vector, "[]", {});
    });

    test("a chain may be longer than the server's bound for recursions", async () => {
      const adapter = await openAdapter();
      for (const [vector, ancestor] of [
        ["a:1", "b:1"],
        ["b:1", "a:1"],
      ] as const) {
        await adapter.snapshots.store(actor, vector, () => headed({ ...rowOf(vector), ancestor }), {});
      }
      const chain = await adapter.snapshots.chain(actor, "a:1", 3_000, {});
      expect([chain.length, chain.at(-1)]).toEqual([3_000, { vector: "b:1", ancestor: "a:1" }]);
    });

    test("a state that is twice as long as a statement comes back as it was", async () => {
      const adapter = await openAdapter();
      const state = `["${"\\\\".repeat(4_100_000)}😀"]`;
      await adapter.snapshots.store(actor, "a:1", () => headed(rowOf("a:1", state)), {});
      expect((await adapter.snapshots.get(actor, "a:1", {}))?.state === state).toBe(true);
    });

    test("a pack that is longer than a statement may be comes back as it was, and makes room for a shorter one", async () => {
      const adapter = await openAdapter();
      for (const length of [2_000_000, 1, 1_000_000]) {
        const events = `["${`\\"é😀'`.repeat(length)}"]`;
        await adapter.packs.store(actor, "a:1", events, {});
        expect((await adapter.packs.get(actor, "a:1", {})) === events).toBe(true);
      }
    });

    test("packs that are stored at once are one of them", async () => {
      const adapter = await openAdapter();
      const packs = [1, 2, 3, 4].map((n) => JSON.stringify([String(n).repeat(n * 2_500_000)]));
      await Promise.all(packs.map((events) => adapter.packs.store(actor, "a:1", events, {})));
      expect(packs.indexOf((await adapter.packs.get(actor, "a:1", {})) ?? "")).not.toBe(-1);
    });

    test("a clock that was set back puts no mapping before an earlier one", async () => {
      const [adapter, client] = [await openAdapter(), await connect()];
      const map = (systemId: string) => adapter.identities.map("account", systemId, "a", {});
      await map("first");
      const ahead = Date.now() + 3_600_000;
      await client.query(`update ${database}.tidemark_identity_key set last_at = ? where id = 'a'`, [ahead]);
      await map("second");
      await map("third");
      const asOf = (time?: number) => adapter.identities.systemId("account", "a", time, {});
      expect([await asOf(), await asOf(ahead + 1), await asOf(ahead)]).toEqual(["third", "second", "first"]);
    });

    describe("of an actor with 100 000 snapshots, mappings and events", () => {
      test.each(["without statistics", "with statistics"])(
        "little is read to find what is wanted, %s",
        { timeout: 240_000 },
        async (how) => {
          const pool = openPool({ connectionLimit: 1 });
          const adapter = createMysqlAdapter({ pool, database });
          await adapter.open("migrate", {});
          cleanups.push(() => adapter.close());
          const client = await connect();
          await fillActors(client, how);
          const { snapshots, identities, packs } = adapter;
          const big = { type: "order", systemId: "big" };
          const change = headed(rowOf("z:1"));
          const takenBack = (work: (port: TransactionPort) => Promise<unknown>) => () =>
            thrownBy(
              adapter.transaction(async (tx) => {
                await work(adapter.within(tx));
                throw new Error("taken back");
              }, {}),
            );
          const byId = { ref: { context: "d", type: "order", id: "big" }, after: "", limit: 10, bytes: 1e6 };
          const all = { until: undefined, from: undefined, to: undefined };
          const calls: Readonly<Record<string, () => Promise<unknown>>> = {
            "the heads": () => snapshots.heads(big, {}),
            "a snapshot": () => snapshots.get(big, "a:50000", {}),
            "a snapshot that is not there": () => snapshots.get(big, "b:1", {}),
            "a chain of ten": () => snapshots.chain(big, "a:50000", 10, {}),
            "the first links": () => snapshots.links(big, undefined, 10, {}),
            "links in the middle": () => snapshots.links(big, "a:50000", 10, {}),
            "the snapshot at an event": () => snapshots.atEvent(big, "e-050000", {}),
            "the snapshot before all events": () => snapshots.atEvent(big, "a", {}),
            "the snapshot at a time": () => snapshots.atTime(big, 50_000, {}),
            "storing a snapshot": takenBack((port) => port.snapshots.store(big, "z:1", () => change, {})),
            "a system id": () => identities.systemId("order", "big", undefined, {}),
            "a system id at a time": () => identities.systemId("order", "big", 50_000, {}),
            "an actor id": () => identities.actorId("order", "big", undefined, {}),
            "an actor id at a time": () => identities.actorId("order", "big", 50_000, {}),
            "an actor id's resolution": takenBack((port) => port.identities.resolve("order", "big", "more", {})),
            "a mapping": takenBack((port) => port.identities.map("order", "big", "more", {})),
            "a pack": () => packs.get(big, "a:50000", {}),
            "storing a pack": takenBack((port) => port.packs.store(big, "a:50000", "[]", {})),
            "events by id": () => adapter.readEventsById({ ...byId, ...all }, {}),
            "events by id up to one": () =>
              adapter.readEventsById({ ...byId, ...all, after: "e-050000", until: "e-050005" }, {}),
            "events by id of a time": () =>
              adapter.readEventsById({ ...byId, ...all, after: "e-049999", from: 50_010, to: 60_000 }, {}),
          };
          expect(await snapshots.heads(big, {})).toMatchObject([{ vector: "a:99998" }, { vector: "a:99999" }]);
          expect(await snapshots.chain(big, "a:50000", 10, {})).toHaveLength(10);
          expect(await snapshots.atEvent(big, "e-050000x", {})).toMatchObject({ vector: "a:50000" });
          expect(await snapshots.atTime(big, 50_000, {})).toMatchObject({ vector: "a:50000" });
          expect(await identities.systemId("order", "big", 50_000, {})).toBe("s-50000");
          expect(await adapter.readEventsById({ ...byId, ...all, after: "e-049999" }, {})).toHaveLength(10);
          const read: Record<string, number> = {};
          for (const [name, call] of Object.entries(calls)) read[name] = await rowsReadBy(pool, call);
          // A page of events by id goes through temporary tables, whose rows are counted as well.
          const tooMany = Object.entries(read).filter(([, rows]) => rows > 200);
          expect(tooMany).toEqual([]);
        },
      );
    });

    type Records = Pick<TransactionPort, "snapshots">;

    function storeHead(
      { snapshots }: Records,
      vector: string,
      look: (heads: readonly string[]) => void = () => undefined,
    ): Promise<void> {
      return snapshots.store(
        actor,
        vector,
        ({ heads }) => {
          look(heads);
          return headed(rowOf(vector));
        },
        {},
      );
    }

    /** It has looked at something, so that it sees what was committed before, and nothing else. */
    async function beginAt(level: string): Promise<Connection> {
      const client = await connect();
      await client.query(`set transaction isolation level ${level}`);
      await client.query("start transaction");
      await client.query(`select * from ${database}.tidemark_log`);
      return client;
    }

    async function mappings(): Promise<readonly unknown[]> {
      const sql = `select convert(system_id using utf8mb4) as id from ${database}.tidemark_identity order by since`;
      return (await rowsOf(await connect(), sql)).map(({ id }) => id);
    }

    async function openAdapter(): Promise<MysqlAdapter> {
      const adapter = createMysqlAdapter({ connection: { uri: url }, database });
      await adapter.open("migrate", {});
      cleanups.push(() => adapter.close());
      return adapter;
    }
  });
}

function rowOf(vector: string, state = "{}"): SnapshotRow {
  return {
    ...{ vector, snapshotId: "id", version: 1, ancestor: undefined, state },
    ...{ lastEventId: undefined, lastEventAt: undefined },
  };
}

function headed(row: SnapshotRow) {
  return { row, isHead: true, dominated: [] };
}

/** Of four bytes each, no two alike. */
function noise(bytes: number): string {
  return Array.from({ length: bytes / 4 }, (_, n) => String.fromCodePoint(0x20000 + ((n * 7_919) % 0x9fff))).join("");
}

/** What the server has looked at, on the pool's only connection. */
async function rowsReadBy(pool: Pool, call: () => Promise<unknown>): Promise<number> {
  const before = await rowsRead(pool);
  await call();
  const after = await rowsRead(pool);
  // The question itself reads as well.
  return 2 * after - before - (await rowsRead(pool));
}

async function rowsRead(pool: Pool): Promise<number> {
  const [rows] = await pool.query<RowDataPacket[]>("show session status like 'Handler_read%'");
  return rows.reduce((sum, row) => sum + Number(row["Value"]), 0);
}

/** 100 000 snapshots of one actor, of which two are heads, mappings each way, and events; 30 000 packs. */
async function fillActors(client: Connection, how: string): Promise<void> {
  const at = (table: string): string => `${database}.tidemark_${table}`;
  const tables = ["actor", "snapshot", "identity", "identity_key", "pack", "event"].map(at);
  if (how === "without statistics") {
    for (const table of tables) await client.query(`alter table ${table} stats_auto_recalc = 0`);
  }
  const numbers = `${database}.numbers`;
  await client.query(`create table ${numbers} (n int primary key)`);
  const digits = "0123456789"
    .split("")
    .map((digit) => `select ${digit} as d`)
    .join(" union all ");
  const five = "abcde"
    .split("")
    .map((name) => `(${digits}) ${name}`)
    .join(", ");
  await client.query(
    `insert into ${numbers} select a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d from ${five}`,
  );
  const digest = "unhex(sha2(concat('a:', n), 256))";
  for (const statement of [
    `${at("actor")} select 'order', concat('a-', n), 1, '["a:1"]' from ${numbers}`,
    `${at("actor")} values ('order', 'big', 1, '["a:99998","a:99999"]')`,
    `${at("snapshot")} (type, system_id, digest, vector_clock, snapshot_id, version, ancestor, last_event_id,
        last_event_at, state)
      select 'order', 'big', ${digest}, concat('a:', n), n, n, concat('a:', n - 1), concat('e-', lpad(n, 6, '0')), n, '{}'
      from ${numbers}`,
    `${at("identity")} select 'order', 'big', concat('s-', n), n from ${numbers}`,
    `${at("identity")} select 'order', concat('b-', n), 'big', n from ${numbers}`,
    `${at("identity_key")} select 'order', 'system', concat('s-', n), n, n, 'big' from ${numbers}`,
    `${at("identity_key")} values ('order', 'actor', 'big', 100000, 100000, 's-99999'),
      ('order', 'system', 'big', 100000, 100000, 'b-99999')`,
    `${at("pack")} select 'order', 'big', ${digest}, 0, concat('a:', n), 1, '[]' from ${numbers} where n % 3 = 2`,
    `${at("event")} (context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data, metadata,
        occurred_on, recorded_at)
      select 'd', 'order', 'big', n + 1, 0, concat('e-', lpad(n, 6, '0')), 'x', '{}', '{}', n, n from ${numbers}`,
  ]) {
    await client.query(`insert into ${statement}`);
  }
  if (how === "with statistics") await client.query(`analyze table ${tables.join(", ")}`);
}

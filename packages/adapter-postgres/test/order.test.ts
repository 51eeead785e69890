import { randomInt } from "node:crypto";
import { type AggregateRef, bucketOf, type EventSource, START } from "@tidemark/core";
import { createDatabase } from "@tidemark/test-servers";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { createPostgresStore, type PostgresStore } from "@tidemark/adapter-postgres";
import type pg from "pg";
import { describe, expect, test } from "vitest";
import { codeOf, connect, isWaiting, open, placed, schemaName, thrownBy, until, useDatabase } from "./fixture.ts";

describeWithServer("postgres", (server) => {
  useDatabase(server);

  describe("rows that another tool inserts", () => {
    test("hold readers at the first of them until they are committed, and are delivered in order", async () => {
      const [store, tool] = [await open(), await connect()];
      const reader = follow(store);
      await store.append(placed("a"));
      await tool.query("begin");
      await insertRaw(tool, "raw");
      await store.append(placed("b"));
      await insertRaw(tool, "raw", { version: 2 });
      await store.append(placed("c"));
      expect(await reader.poll()).toEqual(["a@1"]);
      expect(await store.head()).toBe(1n);
      await tool.query("commit");
      expect(await reader.poll()).toEqual(["raw@1", "b@1", "raw@2", "c@1"]);
    });

    test("hold nobody once they are rolled back or their connection is gone", async () => {
      const [store, tool, other] = [await open(), await connect(), await connect()];
      const reader = follow(store);
      for (const client of [tool, other]) {
        await client.query("begin");
        await insertRaw(client, `raw-${client === tool}`);
      }
      await store.append(placed("a"));
      expect(await reader.poll()).toEqual([]);
      await tool.query("rollback");
      await other.end();
      await until(async () => (await store.frontierHolders()).length === 0);
      expect(await reader.poll()).toEqual(["a@1"]);
    });

    test("belong to those that several rows of one statement insert", async () => {
      const [store, tool] = [await open(), await connect()];
      const reader = follow(store);
      await tool.query("begin");
      await tool.query(
        `insert into ${schemaName}.event (context, aggregate_type, aggregate_id, version, bucket, event_id, event_type,
           data, metadata, occurred_on)
         select 'default', 'order', 'raw', n, $1, 'raw-' || n, 'placed', '{}', '{}', 0 from generate_series(1, 50) n`,
        [bucketOf(raw("raw"))],
      );
      await store.append(placed("a"));
      expect(await reader.poll()).toEqual([]);
      await tool.query("commit");
      expect(await reader.poll()).toEqual([...range(50).map((n) => `raw@${n}`), "a@1"]);
    });

    test("by one statement are never shown in part, not even when somebody registers in the midst of it", async () => {
      const [store, tool, other, watcher] = [await open(), await connect(), await connect(), await connect()];
      const reader = follow(store);
      // Two keys, where the store's locks have one.
      const key = randomInt(2 ** 31);
      await watcher.query("select pg_advisory_lock(3, $1)", [key]);
      const inserting = tool.query(
        `insert into ${schemaName}.event (context, aggregate_type, aggregate_id, version, bucket, event_id, event_type,
           data, metadata, occurred_on)
         select 'default', 'order', 'raw', n, $1, 'raw-' || n, 'placed', '{}', '{}', 0
         from (select n, case n when 3 then pg_advisory_xact_lock(3, $2) end from generate_series(1, 6) n) slow`,
        [bucketOf(raw("raw")), key],
      );
      await until(async () => isWaiting(watcher, tool));
      await other.query("begin");
      await within(store, other, (store) => store.append(placed("a")));
      await watcher.query("select pg_advisory_unlock(3, $1)", [key]);
      await inserting;
      // What the other has registered lies between the first and the last of them.
      expect(await reader.poll()).toEqual([]);
      await other.query("commit");
      const rows = range(6).map((n) => `raw@${n}`);
      expect(await reader.poll()).toEqual([...rows.slice(0, 2), "a@1", ...rows.slice(2)]);
    });

    const expectations = { any: "any", exists: "exists", "the version": 2 } as const;
    test.each(Object.entries(expectations))(
      "are followed by the next version where %s is expected",
      async (_, expected) => {
        const [store, tool] = [await open(), await connect()];
        await store.append(placed("known"));
        for (const id of ["unknown", "known"]) {
          for (const version of [1, 2].slice(id === "known" ? 1 : 0)) await insertRaw(tool, id, { version });
          expect(await store.append({ ...placed(id), expected })).toMatchObject({ first: 3 });
          await insertRaw(tool, id, { version: 4 });
          await tool.query("begin");
          const next = expected === 2 ? 4 : expected;
          expect(await within(store, tool, (store) => store.append({ ...placed(id), expected: next }))).toMatchObject({
            first: 5,
          });
          await tool.query("commit");
          expect(await store.append({ ...placed(id), expected: 5 })).toMatchObject({ first: 6 });
        }
      },
    );

    test("are what a wrong expectation is told of", async () => {
      const [store, tool] = [await open(), await connect()];
      await store.append(placed("known"));
      await insertRaw(tool, "known", { version: 2 });
      await insertRaw(tool, "unknown");
      const asked = { known: [0, 1, 3], unknown: [0, 2] };
      for (const [id, wrong] of Object.entries(asked)) {
        for (const version of wrong) {
          const expected = version === 0 ? "none" : version;
          const conflict = { code: "VERSION_CONFLICT", details: { actual: id === "known" ? 2 : 1 } };
          await expect(store.append({ ...placed(id), expected })).rejects.toMatchObject(conflict);
        }
      }
    });

    test("with an id that is appended again are not written again", async () => {
      const [store, tool] = [await open(), await connect()];
      await insertRaw(tool, "raw", { id: "e1" });
      const again = { aggregate: { type: "order", id: "raw" }, events: [{ id: "e1", type: "placed", data: {} }] };
      expect(await store.append(again)).toMatchObject({ first: 1, last: 1, ids: ["e1"] });
      expect(await follow(store).poll()).toEqual(["raw@1"]);
    });

    test("that are not committed yet hold up appends to their aggregate, and no others", async () => {
      const [store, tool] = [await open(), await connect()];
      await store.append(placed("known"));
      await tool.query("begin");
      await insertRaw(tool, "known", { version: 2 });
      await insertRaw(tool, "unknown");
      const slow = [store.append(placed("known")), store.append(placed("unknown"))];
      const quick = range(20).map((n) => store.append(placed(`quick-${n}`)));
      await Promise.all(quick);
      await tool.query("commit");
      expect(await Promise.all(slow)).toMatchObject([{ first: 3 }, { first: 2 }]);
    });

    test("that come between make an append in a caller's transaction fail so that it may be run again", async () => {
      const [store, tool, client] = [await open(), await connect(), await connect()];
      await tool.query("begin");
      await insertRaw(tool, "raw");
      await client.query("begin");
      const appending = codeOf(within(store, client, (store) => store.append(placed("raw"))));
      await until(async () => (await store.frontierHolders()).length === 2);
      await tool.query("commit");
      expect(await appending).toBe("CONTENTION");
      await client.query("rollback");
      expect(await store.append(placed("raw"))).toMatchObject({ first: 2 });
    });
  });

  describe("a prepared transaction", () => {
    test.each(["commit", "rollback"] as const)("holds readers back, and is named, until its %s", async (how) => {
      const [store, client] = [await open(), await connect()];
      await requirePrepared(client);
      const reader = follow(store);
      const name = `prepared ${schemaName}`;
      const before = Date.now();
      await client.query("begin");
      await within(store, client, (store) => store.append(placed("prepared")));
      await client.query(`prepare transaction '${name}'`);
      await client.end();
      try {
        await store.append(placed("after"));
        expect(await reader.poll()).toEqual([]);
        const [holder, ...others] = await store.frontierHolders();
        expect(others).toEqual([]);
        expect(holder).toMatchObject({ position: 0n, session: name });
        expect(Math.abs((holder?.since?.getTime() ?? 0) - before)).toBeLessThan(60_000);
      } finally {
        await (await connect()).query(`${how} prepared '${name}'`);
      }
      expect(await reader.poll()).toEqual(how === "commit" ? ["prepared@1", "after@1"] : ["after@1"]);
      expect(await store.frontierHolders()).toEqual([]);
    });

    test("keeps its aggregate locked, so that appends to it wait for its end", async () => {
      const [store, client] = [await open({}, { waitMs: 5_000 }), await connect()];
      await requirePrepared(client);
      await store.append(placed("a"));
      await client.query("begin");
      await within(store, client, (store) => store.append(placed("a")));
      await client.query(`prepare transaction '${schemaName}'`);
      try {
        expect(await codeOf(store.append(placed("a")))).toBe("BUSY");
        expect(await store.append(placed("b"))).toMatchObject({ first: 1 });
      } finally {
        await client.query(`commit prepared '${schemaName}'`);
      }
      expect(await store.append(placed("a"))).toMatchObject({ first: 3 });
    });
  });

  describe("a savepoint", () => {
    test("that is rolled back takes the registration with it, and a later append registers again", async () => {
      const [store, client] = [await open(), await connect()];
      const reader = follow(store);
      await client.query("begin; savepoint one");
      await within(store, client, (store) => store.append(placed("undone")));
      expect(await store.frontierHolders()).toHaveLength(1);
      await client.query("rollback to savepoint one");
      expect(await store.frontierHolders()).toEqual([]);
      await store.append(placed("between"));
      expect(await reader.poll()).toEqual(["between@1"]);

      await within(store, client, (store) => store.append(placed("kept")));
      expect(await store.frontierHolders()).toMatchObject([{ position: 2n }]);
      await store.append(placed("after"));
      expect(await reader.poll()).toEqual([]);
      await client.query("commit");
      expect(await reader.poll()).toEqual(["kept@1", "after@1"]);
    });

    test("that is released leaves the registration, and so does one that others are rolled back in", async () => {
      const [store, client] = [await open(), await connect()];
      const reader = follow(store);
      await client.query("begin; savepoint outer_one; savepoint inner_one");
      await within(store, client, (store) => store.append(placed("kept")));
      await client.query("release inner_one; savepoint undone");
      await within(store, client, (store) => store.append(placed("undone")));
      await client.query("rollback to undone; release outer_one");
      await store.append(placed("after"));
      expect(await reader.poll()).toEqual([]);
      expect(await store.frontierHolders()).toMatchObject([{ position: 0n }]);
      await client.query("commit");
      expect(await reader.poll()).toEqual(["kept@1", "after@1"]);
    });

    test("for each of ten thousand appends leaves one lock", async () => {
      const [store, client] = [await open(), await connect()];
      const bucket = bucketOf(raw("raw"));
      await client.query("begin");
      await client.query(`
        do $$ begin
          for n in 1 .. 10000 loop
            begin
              insert into ${schemaName}.event (context, aggregate_type, aggregate_id, version, bucket, event_id,
                event_type, data, metadata, occurred_on)
                values ('default', 'order', 'raw', n, ${bucket}, n::text, 'placed', '{}', '{}', 0);
              if n % 2 = 0 then
                raise exception 'undone';
              end if;
            exception when raise_exception then
              null;
            end;
          end loop;
        end $$`);
      expect(await locksOf(client)).toBe(1);
      expect(await store.frontierHolders()).toMatchObject([{ position: 0n }]);
      await client.query("commit");
      expect(await follow(store).poll()).toHaveLength(5_000);
    });
  });

  test("ten thousand appends of one transaction take one lock", async () => {
    const [store, client] = [await open(), await connect()];
    await client.query("begin");
    await within(store, client, async (store) => {
      for (const n of range(100)) await store.appendAll(range(100).map((id) => placed(`${n}-${id}`)));
    });
    expect(await locksOf(client)).toBe(1);
    await client.query("commit");
    expect(await follow(store).poll()).toHaveLength(10_000);
  });

  describe("two stores in one database", () => {
    test("do not hold each other's readers back", async () => {
      const [one, other] = [await open(), await open({}, { schemaName: `${schemaName}_b` })];
      const client = await connect();
      await client.query("begin");
      await within(one, client, (store) => store.append(placed("open")));
      await other.append(placed("other"));
      expect(await follow(other).poll()).toEqual(["other@1"]);
      expect(await other.frontierHolders()).toEqual([]);
      await client.query("commit");
    });

    test("register by themselves in one transaction", async () => {
      const [one, other] = [await open(), await open({}, { schemaName: `${schemaName}_b` })];
      const client = await connect();
      const readers = [follow(one), follow(other)];
      await client.query("begin");
      await within(one, client, (store) => store.append(placed("first")));
      await client.query("savepoint one");
      await within(other, client, (store) => store.append(placed("undone")));
      await client.query("rollback to savepoint one");
      await Promise.all([one, other].map((store) => store.append(placed("between"))));
      expect(await Promise.all(readers.map((reader) => reader.poll()))).toEqual([[], ["between@1"]]);
      await within(other, client, (store) => store.append(placed("second")));
      await other.append(placed("after"));
      expect(await Promise.all(readers.map((reader) => reader.poll()))).toEqual([[], []]);
      await client.query("commit");
      expect(await Promise.all(readers.map((reader) => reader.poll()))).toEqual([
        ["first@1", "between@1"],
        ["second@1", "after@1"],
      ]);
    });

    test("have tags of their own, and so have ten that are made at once", async () => {
      const names = range(10).map((n) => `${schemaName}_${n}`);
      await Promise.all(names.map((name) => open({}, { schemaName: name })));
      const client = await connect();
      const tags = new Set<number>();
      for (const name of names) tags.add(await tagOf(client, name));
      expect(tags.size).toBe(names.length);
    });
  });

  test("a store with the same tag in another database holds nobody back here", async () => {
    const elsewhere = await createDatabase(server.url);
    try {
      const [store, client, there] = [await open(), await connect(), await connect(elsewhere.url)];
      const other = await createPostgresStore({ connection: elsewhere.url, schemaName });
      await setTag(there, schemaName, await tagOf(client, schemaName));
      await there.query("begin");
      await within(other, there, (store) => store.append(placed("there")));
      expect(await other.frontierHolders()).toHaveLength(1);
      await store.append(placed("here"));
      expect(await follow(store).poll()).toEqual(["here@1"]);
      expect(await store.frontierHolders()).toEqual([]);
      await there.query("commit");
      await other.close();
    } finally {
      await elsewhere.drop();
    }
  });

  test("a transaction that registers late takes neither readers nor the head back", async () => {
    const [store, client] = [await open(), await connect()];
    const reader = follow(store);
    await store.append(placed("a"));
    await client.query("begin");
    await within(store, client, (store) => store.append(placed("undone")));
    await client.query("rollback");
    await store.append(placed("b"));
    await reader.poll();
    const head = await store.head();
    // As if it had read the mark before everything, and got its lock only now.
    const key = BigInt(await tagOf(client, schemaName)) << 48n;
    await client.query(`begin; select pg_advisory_xact_lock_shared(${key})`);
    expect(await store.readAll({ after: head })).toMatchObject({ events: [], next: head });
    expect(await store.head()).toBe(head);
    expect(await reader.poll()).toEqual([]);
    await store.append(placed("c"));
    expect(await reader.poll()).toEqual([]);
    expect(await store.head()).toBe(head);
    await client.query("commit");
    expect(await reader.poll()).toEqual(["c@1"]);
    await client.query(`truncate ${schemaName}.event`);
    expect(await store.head()).toBe(START);
  });

  describe("a session that has set our settings by itself", () => {
    test("is registered all the same", async () => {
      const [store, client] = [await open(), await connect()];
      const setting = `tidemark_store.registered_${await tagOf(client, schemaName)}`;
      const { rows } = await client.query<{ readonly id: string }>("select pg_current_xact_id()::text as id");
      for (const value of ["", "yes", "0", rows[0]?.id ?? ""]) {
        await client.query(`set ${setting} = '${value}'`);
        await client.query(`begin; set local ${setting} = '${value}x'`);
        await within(store, client, (store) => store.append(placed("open")));
        expect(await store.frontierHolders()).toHaveLength(1);
        await client.query("rollback");
      }
    });

    test("does not make another transaction pass for the one that was lent", async () => {
      const store = await open({ max: 1 });
      const cheating = store.transaction(async (tx, store) => {
        await store.append(placed("lost"));
        await tx.query("set tidemark_store.mark = 'mine'");
        await tx.query("rollback");
        await tx.query("begin");
      });
      expect(await codeOf(cheating)).toBe("TRANSACTION_ENDED");
      const overwriting = store.transaction(async (tx, store) => {
        await store.append(placed("lost"));
        await tx.query("set local tidemark_store.mark = 'mine'");
      });
      expect(await codeOf(overwriting)).toBe("TRANSACTION_ENDED");
      await store.transaction((_tx, store) => store.append(placed("kept")));
      expect(await follow(store).poll()).toEqual(["kept@1"]);
    });
  });

  test("who holds readers back is told with what there is to find it by", async () => {
    const [store, client] = [await open(), await connect()];
    await client.query("set application_name = 'nightly import'");
    await client.query("begin");
    await within(store, client, (store) => store.append(placed("open")));
    const { rows } = await client.query<{ readonly pid: number; readonly began: Date }>(
      "select pg_backend_pid() as pid, transaction_timestamp() as began",
    );
    const [own] = rows;
    const [holder] = await store.frontierHolders();
    expect(holder).toMatchObject({ position: 0n, session: String(own?.pid), application: "nightly import" });
    expect(holder?.since?.getTime()).toBe(own?.began.getTime());
    const watcher = await connect();
    const { rows: seen } = await watcher.query(`select * from ${schemaName}.frontier_holder`);
    expect(seen).toMatchObject([{ pid: own?.pid, state: "idle in transaction", application_name: "nightly import" }]);
    await client.query("rollback");
  });

  describe("a log whose tag another one has, as a restored copy", () => {
    test("is refused at open, with a statement that mends it while others write", async () => {
      const [original, client] = [await open(), await connect()];
      const copyName = `${schemaName}_copy`;
      const copy = await open({}, { schemaName: copyName });
      await setTag(client, copyName, await tagOf(client, schemaName));
      const refused = await thrownBy(open({}, { schemaName: copyName }));
      expect(refused).toMatchObject({ code: "UNUSABLE" });
      const [advised = ""] = /select .*;/.exec(String(refused)) ?? [];

      const readers = [follow(copy), follow(original)];
      const held = await connect();
      await held.query("begin");
      await within(copy, held, (store) => store.append(placed("open")));
      // Of those who wait for each other in a circle, the append is to be given up, which is then repeated.
      await client.query("set deadlock_timeout = '1min'");
      const mending = client.query(advised);
      let isMended = false;
      const writing = [copy, original].map(async (store, n) => {
        for (let count = 0; !isMended || count < 10; count++) {
          await store.append(placed(`${n}`));
          await readers[n]?.poll();
        }
      });
      // The open append is waited for: it is registered under the tag that was.
      await until(async () => isWaiting(held, client));
      await held.query("commit");
      await mending;
      isMended = true;
      await Promise.all(writing);
      expect(await tagOf(client, copyName)).not.toBe(await tagOf(client, schemaName));
      for (const [n, store] of [copy, original].entries()) {
        await readers[n]?.poll();
        expect(readers[n]?.seen).toEqual(await follow(store).poll());
      }
      await open({}, { schemaName: copyName });
      await open();
      await held.query("begin");
      await within(copy, held, (store) => store.append(placed("again")));
      expect([await copy.frontierHolders(), await original.frontierHolders()]).toMatchObject([[{}], []]);
      await held.query("rollback");
    });
  });

  test.each(["vacuum", "vacuum (freeze, analyze)", "vacuum full", "reindex table", "cluster"])(
    "%s changes nothing for readers",
    async (maintain) => {
      const [store, client, operator] = [await open(), await connect(), await connect()];
      const reader = follow(store);
      for (const n of range(20)) await store.append(placed(`${n % 3}`));
      await client.query("begin");
      await within(store, client, (store) => store.append(placed("undone")));
      await client.query("rollback");
      await reader.poll();
      const using = maintain === "cluster" ? "using event_pkey" : "";
      const maintaining = ["event", "aggregate"].map(
        (table) => `${maintain} ${schemaName}.${table} ${table === "event" ? using : ""}`,
      );
      if (maintain === "cluster") maintaining.pop();
      for (const statement of maintaining) {
        const [, first, second] = await Promise.all([
          operator.query(statement),
          store.append(placed("beside")),
          store.append(placed("beside")),
        ]);
        expect(Math.abs(first.first - second.first)).toBe(1);
        await reader.poll();
      }
      await store.append(placed("after"));
      await reader.poll();
      expect(reader.seen).toEqual(await follow(await open()).poll());
      expect(reader.seen).toHaveLength(21 + 2 * maintaining.length);
    },
  );

  describe("where sessions begin as", () => {
    test.each(["repeatable read", "serializable"])("%s, readers skip nothing", async (level) => {
      const options = `-c default_transaction_isolation=${level.replace(" ", "\\ ")}`;
      const [store, writer, client] = [await open({ options }), await open(), await connect()];
      const reader = follow(store);
      await client.query("begin");
      await within(writer, client, (store) => store.append(placed("slow")));
      await store.append(placed("quick"));
      expect(await reader.poll()).toEqual([]);
      await client.query("commit");
      expect(await reader.poll()).toEqual(["slow@1", "quick@1"]);
      await Promise.all(range(10).map((n) => store.append(placed(`${n % 2}`))));
      expect(await reader.poll()).toHaveLength(10);
      await store.transaction((_tx, within) => within.append(placed("lent")));
      expect(await reader.poll()).toEqual(["lent@1"]);
    });

    test("another level since the store was opened, reading and appending are refused", async () => {
      const client = await connect();
      const store = await open({ max: 1, idleTimeoutMillis: 1 });
      await store.append(placed("before"));
      const { rows } = await client.query<{ readonly name: string }>("select current_database() as name");
      await client.query(`alter database ${rows[0]?.name} set default_transaction_isolation = 'repeatable read'`);
      try {
        await until(async () => (await codeOf(store.readAll())) !== "resolved");
        const refused = await thrownBy(store.readAll());
        expect(refused).toMatchObject({ code: "UNUSABLE" });
        expect(String(refused)).toContain("default_transaction_isolation");
        expect(await codeOf(store.append(placed("refused")))).toBe("UNUSABLE");
      } finally {
        await client.query(`alter database ${rows[0]?.name} reset default_transaction_isolation`);
      }
      await until(async () => (await codeOf(store.append(placed("after")))) === "resolved");
      expect(await follow(store).poll()).toEqual(["before@1", "after@1"]);
    });
  });

  describe.each(["repeatable read", "serializable"])("in a caller's transaction that is %s", (level) => {
    test("an append registers, and others may be beside it", async () => {
      const [store, client] = [await open(), await connect()];
      const reader = follow(store);
      await client.query(`begin isolation level ${level}; select 1`);
      await store.append(placed("before"));
      await within(store, client, (store) => store.append(placed("slow")));
      await store.append(placed("quick"));
      expect(await reader.poll()).toEqual(["before@1"]);
      await client.query("commit");
      expect(await reader.poll()).toEqual(["slow@1", "quick@1"]);
    });

    test("an append to what was changed since it began fails so that it may be run again", async () => {
      const [store, client] = [await open(), await connect()];
      await store.append(placed("known"));
      for (const id of ["known", "new"]) {
        await client.query(`begin isolation level ${level}`);
        await client.query(`select count(*) from ${schemaName}.event`);
        await store.append(placed(id));
        expect(await codeOf(within(store, client, (store) => store.append(placed(id))))).toBe("CONTENTION");
        await client.query("rollback");
      }
      await client.query(`begin isolation level ${level}`);
      await client.query(`select count(*) from ${schemaName}.event`);
      await insertRaw(await connect(), "raw");
      expect(await codeOf(within(store, client, (store) => store.append(placed("raw"))))).toBe("CONTENTION");
      await client.query("rollback");
      expect(await follow(store).poll()).toEqual(["known@1", "known@2", "new@1", "raw@1"]);
    });

    test("an append fails so that it may be run again when the log got another tag since it began", async () => {
      const [store, client, admin] = [await open(), await connect(), await connect()];
      const reader = follow(store);
      await client.query(`begin isolation level ${level}; select 1`);
      const copyName = `${schemaName}_copy`;
      await open({}, { schemaName: copyName });
      await setTag(admin, copyName, await tagOf(admin, schemaName));
      await admin.query(`select ${schemaName}.allot_tag()`);
      expect(await codeOf(within(store, client, (store) => store.append(placed("lost"))))).toBe("CONTENTION");
      await client.query(`rollback; begin isolation level ${level}; select 1`);
      await within(store, client, (store) => store.append(placed("slow")));
      await store.append(placed("quick"));
      expect(await reader.poll()).toEqual([]);
      await client.query("commit");
      expect(await reader.poll()).toEqual(["slow@1", "quick@1"]);
    });

    test("the frontier is not told", async () => {
      const [, client] = [await open(), await connect()];
      for (const call of ["frontier()", "head()", "page(0, 10, 1000000, 0, 1, '{}', '{}', '{}')"]) {
        await client.query(`begin isolation level ${level}`);
        await expect(client.query(`select ${schemaName}.${call}`)).rejects.toMatchObject({ code: "TM001" });
        await client.query("rollback");
      }
    });
  });

  describe("with ordering by a counter", () => {
    const counter = { ordering: "counter" } as const;

    test("positions have no gaps, whoever appends and whatever is rolled back", async () => {
      const [store, client] = [await open({}, counter), await connect()];
      for (const n of range(3)) {
        await store.append(placed(`${n}`));
        await client.query("begin");
        await within(store, client, (store) => store.append(placed("undone")));
        await client.query("rollback");
        await insertRaw(client, "raw", { version: n });
      }
      await Promise.all(range(20).map((n) => store.append(placed(`more-${n}`))));
      const { events } = await store.readAll();
      expect(events.map(({ position }) => Number(position))).toEqual(range(26));
    });

    test("a row that another tool inserts holds writers back, not readers", async () => {
      const [store, tool] = [await open({}, counter), await connect()];
      const reader = follow(store);
      await tool.query("begin");
      await insertRaw(tool, "raw");
      const appending = store.append(placed("after"));
      expect(await reader.poll()).toEqual([]);
      expect(await store.frontierHolders()).toEqual([]);
      await tool.query("commit");
      await appending;
      expect(await reader.poll()).toEqual(["raw@1", "after@1"]);
    });

    test("an append waits no longer than it may for a transaction that is left open", async () => {
      const [store, client] = [await open({}, { ...counter, waitMs: 5_000 }), await connect()];
      await client.query("begin");
      await within(store, client, (store) => store.append(placed("open")));
      expect(await codeOf(store.append(placed("other")))).toBe("BUSY");
      await client.query("rollback");
      await store.append(placed("other"));
    });

    test.each(["frontier", "counter"] as const)(
      "a schema that was made with %s is refused to the other",
      async (made) => {
        await open({}, { ordering: made });
        const other = made === "counter" ? "frontier" : "counter";
        for (const schema of ["migrate", "check"] as const) {
          const refused = await thrownBy(open({}, { schema, ordering: other }));
          expect(refused).toMatchObject({ code: "INVALID_ARGUMENT", details: { argument: "ordering" } });
          expect(String(refused)).toContain(`ordering: "${made}"`);
        }
        expect(await codeOf(open({}, { ordering: made }))).not.toBe("INVALID_ARGUMENT");
      },
    );
  });

  test("a sequence of positions with a cache is refused at open, with the statement that mends it", async () => {
    await open();
    const client = await connect();
    await client.query(`alter sequence ${schemaName}.event_position cache 20`);
    const refused = await thrownBy(open());
    expect(refused).toMatchObject({ code: "UNUSABLE" });
    await client.query(/alter sequence .*;/.exec(String(refused))?.[0] ?? "");
    await open();
  });
});

/** Appends by itself, beside what else the test does. */
async function within<T>(
  store: PostgresStore,
  client: pg.Client,
  work: (store: ReturnType<PostgresStore["within"]>) => Promise<T>,
): Promise<T> {
  // Core marks the flow of control that is inside a transaction: this one is none of the test's.
  await new Promise((resolve) => setTimeout(resolve));
  return work(store.within(client));
}

interface RawEvent {
  readonly version?: number;
  readonly id?: string;
}

function raw(id: string): AggregateRef {
  return { context: "default", type: "order", id };
}

/** As somebody does with psql, who knows nothing of aggregates' rows and leaves the position to its default. */
async function insertRaw(client: pg.Client, aggregate: string, { version = 1, id }: RawEvent = {}): Promise<void> {
  await client.query(
    `insert into ${schemaName}.event (context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data,
       metadata, occurred_on)
     values ('default', 'order', $1, $2, $3, $4, 'placed', '{}', '{}', 0)`,
    [aggregate, version, bucketOf(raw(aggregate)), id ?? `raw-${aggregate}-${version}`],
  );
}

interface Follower {
  /** Aggregates and versions of what was read. */
  readonly seen: readonly string[];
  /** Reads what is new. */
  poll(): Promise<readonly string[]>;
}

/** A reader with a checkpoint. */
function follow(source: EventSource): Follower {
  const seen: string[] = [];
  let after = START;
  return {
    seen,
    poll: async () => {
      const before = seen.length;
      for (;;) {
        const { events, next } = await source.readAll({ after, limit: 1_000 });
        for (const { aggregate, version } of events) seen.push(`${aggregate.id}@${version}`);
        after = next;
        if (events.length === 0) return seen.slice(before);
      }
    },
  };
}

async function requirePrepared(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ readonly max: string }>(
    "select current_setting('max_prepared_transactions') as max",
  );
  if (rows[0]?.max === "0") test.skip("max_prepared_transactions is 0 on this server");
}

async function locksOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ readonly count: number }>(
    "select count(*)::integer as count from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
  );
  return rows[0]?.count ?? 0;
}

async function tagOf(client: pg.Client, schema: string): Promise<number> {
  const { rows } = await client.query<{ readonly tag: number }>(`select tag from ${schema}.log`);
  return rows[0]?.tag ?? 0;
}

/** As it is with a log that was restored from a backup. */
async function setTag(client: pg.Client, schema: string, tag: number): Promise<void> {
  const own = await tagOf(client, schema);
  await client.query(`alter table ${schema}.log drop constraint tidemark_tag_${own}`);
  await client.query(`alter table ${schema}.log add constraint tidemark_tag_${tag} check (tag > 0)`);
  await client.query(`update ${schema}.log set tag = ${tag}`);
}

/** 1 … `last`. */
function range(last: number): number[] {
  return Array.from({ length: last }, (_, index) => index + 1);
}

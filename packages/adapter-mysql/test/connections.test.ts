import { execFile } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { createMysqlStore, type MysqlConnection, type MysqlStore } from "@tidemark/adapter-mysql";
import { isTransient } from "@tidemark/core";
import { createDatabase, explain, findServer, type TestServer } from "@tidemark/test-servers";
import { keepAliveSeconds, tellsKeepAlive } from "@tidemark/test-servers/keep-alive";
import { createProxy } from "@tidemark/test-servers/proxy";
import { startSilent } from "@tidemark/test-servers/silent";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import {
  type Connection as CallbackConnection,
  createConnection as createCallbackConnection,
  createPool as createCallbackPool,
} from "mysql2";
import * as driver from "mysql2";
import type { Connection, PoolOptions } from "mysql2/promise";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import {
  allOf,
  borrow,
  cleanups,
  closing,
  codeOf,
  connect,
  countsOf,
  database,
  FLAVOURS,
  idsOf,
  latch,
  open,
  openPool,
  persist,
  placed,
  rowsOf,
  terminate,
  threads,
  thrownBy,
  until,
  url,
  useDatabase,
} from "./fixture.ts";

/** Parsers that queries with other options have left, for all connections of the process. Not in the driver's types. */
function forgetParsers(): void {
  (driver as unknown as { readonly clearParserCache: () => void }).clearParserCache();
}

/** What ids and data may be made of. */
const HOSTILE = [
  "it's",
  '"quoted"',
  "back\\slash",
  "ends with \\",
  "\\' or 1=1 -- ",
  "$1",
  "$1$2 $10",
  "?",
  ":name ::type",
  "/* */ # --",
  "%_",
  "`name`",
  "😀",
  "e\u0301",
  "é",
  "É",
  "ß",
  "ss",
  "a",
  "A",
  "a ",
  " a",
  "a  ",
];

for (const flavour of FLAVOURS) {
  describeWithServer(flavour, (server) => {
    useDatabase(server);

    let watcher: Connection;
    beforeEach(async () => {
      watcher = await connect();
    });
    const locked = async (of: MysqlStore, id: string): Promise<() => Promise<void>> => {
      await of.append(placed(id));
      await watcher.query("begin");
      await watcher.query(`select * from ${database}.tidemark_aggregate for update`);
      return async () => void (await watcher.query("rollback"));
    };

    describe("a transaction that stands still", () => {
      test("is given up by the server, readers go on, and so does the store", async () => {
        const pool = openPool({ connectionLimit: 2 });
        const store = await borrow(pool, { idleInTransactionMs: 5_000 });
        const { promise: stands, resolve: standStill } = latch();
        const { promise: end, resolve: finish } = latch();
        const late: string[] = [];
        const failed = codeOf(
          store.transaction(async (tx, inside) => {
            await inside.append(placed("idle"));
            standStill();
            await end;
            late.push(await codeOf(inside.append(placed("late"))));
            await tx.query("select 1");
          }),
        );
        expect(await Promise.race([stands, failed])).toBeUndefined();
        expect(await store.frontierHolders()).toHaveLength(1);
        await store.append(placed("other"));
        await until(async () => (await store.frontierHolders()).length === 0);
        expect(await idsOf(store)).toEqual(["other"]);
        finish();
        expect(await failed).toBe("TRANSACTION_TIMEOUT");
        expect(late).toEqual(["TRANSACTION_TIMEOUT"]);
        expect(await codeOf(store.transaction((_tx, inside) => inside.append(placed("next"))))).toBe("resolved");
        expect(await idsOf(store)).toEqual(["other", "next"]);
        expect(countsOf(pool).all).toBe(countsOf(pool).free);
      });

      test("is told so although the work notices nothing", async () => {
        const store = await open({}, { idleInTransactionMs: 1_000 });
        const thrown = await thrownBy(
          store.transaction(async (tx, inside) => {
            await inside.append(placed("idle"));
            const id = Number((await rowsOf(tx, "select connection_id() as id"))[0]?.["id"]);
            await until(async () => (await threads(watcher)).every((thread) => thread.id !== id));
          }),
        );
        expect(thrown).toMatchObject({ code: "TRANSACTION_TIMEOUT", details: { allowedMs: 1_000 } });
        expect(await idsOf(store)).toEqual([]);
      });

      test("is told so where the whole process stood still", async () => {
        const store = await open({}, { idleInTransactionMs: 1_000 });
        const outcome = store.transaction(async (_tx, inside) => {
          await inside.append(placed("idle"));
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 6_000);
          await inside.append(placed("late"));
        });
        expect(await codeOf(outcome)).toBe("TRANSACTION_TIMEOUT");
        expect(await codeOf(store.append(placed("next")))).toBe("resolved");
        expect(await idsOf(store)).toEqual(["next"]);
      });
    });

    describe("a wait for a lock that takes too long", () => {
      test("is BUSY, and the next call goes on", async () => {
        const store = await persist(() => open({}, { waitMs: 1_000, retry: { attempts: 1 } }));
        const free = await locked(store, "1");
        expect(await thrownBy(store.append(placed("1")))).toMatchObject({ code: "BUSY" });
        const inside = await thrownBy(store.transaction((_tx, within) => within.append(placed("1"))));
        expect(inside).toMatchObject({ code: "BUSY", cause: { errno: 1205 } });
        expect(isTransient(inside)).toBe(true);
        await free();
        await persist(() => store.append(placed("1")));
        expect(await idsOf(store)).toEqual(["1", "1"]);
      });

      test("is BUSY, too, where somebody has locked tables", async () => {
        const store = await persist(() => open({}, { waitMs: 1_000, retry: { attempts: 1 } }));
        await persist(() => store.append(placed("1")));
        const table = (name: string): string => `${database}.tidemark_${name}`;
        await watcher.query(`lock tables ${table("event")} write, ${table("consumer")} write`);
        expect(await codeOf(store.append(placed("2")))).toBe("BUSY");
        expect(await codeOf(store.transaction((_tx, inside) => inside.append(placed("2"))))).toBe("BUSY");
        expect(await codeOf(store.readAll())).toBe("BUSY");
        expect(await codeOf(store.consumers.get("books"))).toBe("BUSY");
        await watcher.query("unlock tables");
        await persist(() => store.append(placed("3")));
        expect(await idsOf(store)).toEqual(["1", "3"]);
      });

      test("is waited out where it is a deadlock that comes again and again, as on a cluster", async () => {
        const store = await open({}, { retry: { attempts: 1 } });
        await watcher.query(`create table ${database}.calm (since datetime(6))`);
        await watcher.query(`insert into ${database}.calm values (utc_timestamp(6) + interval 1 hour)`);
        await watcher.query(
          `create trigger ${database}.collides before insert on ${database}.tidemark_event for each row
           if utc_timestamp(6) < (select since from ${database}.calm) then
             signal sqlstate '40001' set mysql_errno = 1213, message_text = 'Deadlock found';
           end if`,
        );
        expect(await codeOf(store.append(placed("never")))).toBe("CONTENTION");
        await watcher.query(`update ${database}.calm set since = utc_timestamp(6) + interval 60000 microsecond`);
        expect(await codeOf(store.append(placed("later")))).toBe("resolved");
        expect(await idsOf(store)).toEqual(["later"]);
      });

      test("is BUSY where the driver says how long a pool waits", async () => {
        const pool = openPool({ connectionLimit: 1, waitForConnections: false });
        const store = await borrow(pool, { retry: { attempts: 1 } });
        const held = await pool.getConnection();
        expect(await codeOf(store.transaction(async () => undefined))).toBe("BUSY");
        held.release();
        expect(await codeOf(store.transaction(async () => undefined))).toBe("resolved");
      });
    });

    describe("a connection that is ended by an operator", () => {
      test("while it is idle is replaced", async () => {
        const store = await open();
        await store.append(placed("1"));
        await store.transaction((_tx, inside) => inside.append(placed("2")));
        await terminate(watcher);
        await persist(() => store.append(placed("3")));
        await persist(() => store.transaction((_tx, inside) => inside.append(placed("4"))));
        expect(await persist(() => idsOf(store))).toEqual(["1", "2", "3", "4"]);
      });

      test("while a statement runs is UNAVAILABLE", async () => {
        const store = await open({}, { retry: { attempts: 1 } });
        const free = await locked(store, "1");
        const outcome = codeOf(store.transaction((_tx, inside) => inside.append(placed("1"))));
        await until(async () => (await threads(watcher)).some(({ info }) => info.includes("for update")));
        await terminate(watcher);
        expect(await outcome).toBe("UNAVAILABLE");
        await free();
        await persist(() => store.append(placed("next")));
        expect(await idsOf(store)).toEqual(["1", "next"]);
      });

      test("inside of a transaction rolls it back and is UNAVAILABLE", async () => {
        const store = await open();
        const thrown = await thrownBy(
          store.transaction(async (_tx, inside) => {
            await inside.append(placed("1"));
            await terminate(watcher);
          }),
        );
        expect(thrown).toMatchObject({ code: "UNAVAILABLE" });
        expect(isTransient(thrown)).toBe(true);
        await persist(() => store.append(placed("next")));
        expect(await idsOf(store)).toEqual(["next"]);
      });

      test("is worked around where the transaction may be tried again", async () => {
        const store = await open();
        let runs = 0;
        await store.transaction(
          async (_tx, inside) => {
            runs += 1;
            await inside.append(placed(`run ${runs}`));
            if (runs === 1) await terminate(watcher);
          },
          { retry: "transient" },
        );
        expect(await persist(() => idsOf(store))).toEqual(["run 2"]);
      });

      test("does not end the process, whoever has it", async () => {
        const uncaught: unknown[] = [];
        const onUncaught = (error: unknown): void => void uncaught.push(error);
        process.on("uncaughtException", onUncaught);
        cleanups.push(() => process.off("uncaughtException", onUncaught));
        const store = await borrow(openPool({ connectionLimit: 1 }));
        for (let round = 1; round <= 3; round++) {
          await thrownBy(
            store.transaction(async () => {
              await terminate(watcher);
              throw new Error("from the work");
            }),
          );
        }
        expect(await codeOf(persist(() => store.append(placed("1"))))).toBe("resolved");
        expect(uncaught).toEqual([]);
      });
    });

    describe("a borrowed pool", () => {
      test("may be lent to two stores, and be used beside them", async () => {
        const pool = openPool({ connectionLimit: 2 });
        const one = await borrow(pool);
        const other = await borrow(pool, { prefix: "other_" });
        await Promise.all(
          Array.from({ length: 20 }, async (_, n) => {
            await one.append(placed(`${n}`));
            await other.transaction((_tx, inside) => inside.append(placed(`${n}`)));
            await pool.execute("select ? as n", [n]);
          }),
        );
        expect(await idsOf(one)).toHaveLength(20);
        expect(await idsOf(other)).toHaveLength(20);
        expect(countsOf(pool).all).toBe(countsOf(pool).free);
      });

      test("of callbacks stays open when the store closes", async () => {
        const pool = createCallbackPool({ uri: url, connectionLimit: 1 });
        cleanups.push(() => pool.promise().end());
        const store = await createMysqlStore({ pool });
        await store.transaction((_tx, inside) => inside.append(placed("1")));
        await store.close();
        expect(await rowsOf(pool.promise(), "select 1 as one")).toEqual([{ one: 1 }]);
      });

      test.each<[string, PoolOptions]>([
        ["big numbers as strings", { supportBigNumbers: true, bigNumberStrings: true }],
        ["big numbers", { supportBigNumbers: true }],
        ["rows as arrays", { rowsAsArray: true }],
        ["nested tables", { nestTables: true }],
        ["no casts", { typeCast: false }],
        ["casts of its own", { typeCast: () => "not what the store wants" }],
        ["casts of numbers", { typeCast: (field, next) => (field.type === "LONGLONG" ? field.string() : next()) }],
        ["casts of its own, and no eval", { typeCast: () => "not what the store wants", disableEval: true }],
        ["dates as strings", { dateStrings: true, timezone: "+05:00" }],
        ["named placeholders", { namedPlaceholders: true }],
        ["decimals as numbers", { decimalNumbers: true }],
        ["JSON as strings", { jsonStrings: true }],
        ["several statements", { multipleStatements: true }],
        ["no eval", { disableEval: true }],
        ["compression", { compress: true }],
      ])("gives the same values: %s", async (_name, config) => {
        forgetParsers();
        const store = await borrow(openPool(config));
        const aggregate = { type: "order", id: "1" };
        const data = { text: HOSTILE.join(" "), n: 1 };
        await store.transaction((_tx, inside) =>
          inside.append({ aggregate, events: [{ id: "event", type: "placed", data }] }),
        );
        const { events } = await store.readAll();
        expect(events).toMatchObject([{ position: 1n, version: 1, data, id: "event" }]);
        expect(await allOf(store.readAggregate(aggregate))).toEqual(events);
        const again = { aggregate, events: [{ id: "event", type: "placed", data }] };
        expect(await store.transaction((_tx, inside) => inside.append(again))).toMatchObject({ positions: [1n] });
        await store.consumers.declare("books", { kind: "projector", segments: 2 });
        const zone = await store.enterZone("books");
        await zone?.leave();
        expect(await store.consumers.get("books")).toMatchObject({ enabled: true });
        const client = await connect(url, config);
        await client.query("begin");
        await store.within(client).append(placed("2"));
        expect(await allOf(store.within(client).readAggregate(aggregate))).toEqual(events);
        await client.query("commit");
        forgetParsers();
        const own = await open(config, { schema: "check" });
        expect((await own.readAll()).events.slice(0, 1)).toEqual(events);
        expect(await allOf(own.readAggregate(aggregate))).toEqual(events);
      });

      test.each<[string, PoolOptions, string | undefined]>([
        ["without backslashes", {}, "set session sql_mode = concat(@@sql_mode, ',NO_BACKSLASH_ESCAPES')"],
        ["not strict", {}, "set session sql_mode = ''"],
        ["of latin1", { charset: "latin1" }, undefined],
        ["that was set to latin1", {}, "set names latin1"],
        ["without autocommit", {}, "set session autocommit = 0"],
        ["with few rows", {}, "set session sql_select_limit = 10"],
        ["that chains transactions", {}, "set session completion_type = 1"],
        ["without unique indexes", {}, "set session unique_checks = 0"],
        ["that only read", {}, "set session transaction read only"],
        ["that counts changes only", { flags: ["-FOUND_ROWS"] }, undefined],
        ["that tells no changes", { flags: ["-SESSION_TRACK"] }, undefined],
        ["with a format of its own", { queryFormat: (sql: string) => sql }, undefined],
        ["that tells no change of database", {}, "set session session_track_schema = 0"],
        ["that tells no change of texts", {}, "set session session_track_system_variables = 'time_zone'"],
      ])("whose sessions cannot work is refused: %s", async (_name, config, setting) => {
        const pool = openPool({ ...config, connectionLimit: 1 });
        if (setting !== undefined) await pool.query(setting);
        const thrown = await thrownBy(createMysqlStore({ pool, database }));
        expect(thrown).toMatchObject({ code: "UNUSABLE" });
        expect(countsOf(pool).all).toBe(countsOf(pool).free);
      });

      test("may lend a connection whose next transaction was to be one that only reads", async () => {
        const pool = openPool({ connectionLimit: 1 });
        const store = await borrow(pool);
        await pool.query("set transaction read only");
        expect(await codeOf(store.transaction((_tx, inside) => inside.append(placed("1"))))).toBe("resolved");
      });

      test.each(["repeatable read", "serializable", "read uncommitted"])("may be %s", async (isolation) => {
        const pool = openPool({ connectionLimit: 1 });
        await pool.query(`set session transaction isolation level ${isolation}`);
        const store = await borrow(pool);
        await store.transaction((_tx, inside) => inside.append(placed("1")));
        await store.append(placed("2"));
        expect(await idsOf(store)).toEqual(["1", "2"]);
        const names = "('transaction_isolation', 'tx_isolation')";
        const level = (await rowsOf(pool, `show session variables where variable_name in ${names}`))[0]?.["Value"];
        expect(level).toBe(isolation.replace(" ", "-").toUpperCase());
      });

      test("gets back a connection that came too late, for which nobody waits any more", async () => {
        const pool = openPool({ connectionLimit: 1 });
        const store = await persist(() => borrow(pool, { waitMs: 2_000, retry: { attempts: 1 } }));
        const held = await pool.getConnection();
        expect(await codeOf(store.transaction(async () => undefined))).toBe("BUSY");
        const abort = new AbortController();
        const aborted = codeOf(store.transaction(async () => undefined, { signal: abort.signal }));
        abort.abort();
        expect(await aborted).toBe("ABORTED");
        held.release();
        await until(() => countsOf(pool).waiting === 0 && countsOf(pool).free === 1);
        await persist(() => store.transaction((_tx, inside) => inside.append(placed("1"))));
      });
    });

    describe("a pool whose sessions change", () => {
      test("because it sets them back is looked at each time", async () => {
        const store = await borrow(openPool({ connectionLimit: 1, resetOnRelease: true }));
        for (const id of ["1", "2"]) {
          await store.transaction(async (tx, inside) => {
            await inside.append(placed(id));
            // Since the session was set back.
            const [looks] = await rowsOf(tx, "show session status like 'Com_show_variables'");
            expect(looks).toMatchObject({ Value: "1" });
          });
        }
        expect(await idsOf(store)).toEqual(["1", "2"]);
      });

      test("because it sets them back works for a store that opens it", async () => {
        const store = await open({ connectionLimit: 1, resetOnRelease: true }, { waitMs: 7_000 });
        for (const id of ["1", "2"]) {
          await store.transaction(async (tx, inside) => {
            await inside.append(placed(id));
            expect(await rowsOf(tx, "select @@innodb_lock_wait_timeout as waits")).toEqual([{ waits: 7 }]);
          });
        }
        expect(await idsOf(store)).toEqual(["1", "2"]);
      });

      test("has READ COMMITTED transactions, whatever somebody has asked for the next one", async () => {
        const pool = openPool({ connectionLimit: 1 });
        await pool.query("set session transaction isolation level read committed");
        const store = await borrow(pool);
        for (const whose of ["session ", ""]) {
          await pool.query(`set ${whose}transaction isolation level repeatable read`);
          await store.transaction(async (tx) => {
            const count = async (): Promise<unknown> =>
              (await rowsOf(tx, `select count(*) as count from ${database}.tidemark_event`))[0]?.["count"];
            const before = Number(await count());
            await store.append(placed("beside"));
            expect(await count()).toBe(before + 1);
          });
        }
      });
    });

    describe("a pool that lends a connection on which somebody has left a transaction open", () => {
      const uses: Readonly<Record<string, (store: MysqlStore) => Promise<unknown>>> = {
        "a transaction": (store) => store.transaction((_tx, inside) => inside.append(placed("1"))),
        "what is written": (store) => store.consumers.delete({ name: "books", version: 1 }),
        "what is written by one statement": (store) => store.consumers.disable({ name: "books", version: 1 }),
        "what is read": (store) => store.consumers.get({ name: "books", version: 1 }),
      };

      test.each(Object.entries(uses))("commits nothing of it by %s, and says so", async (_what, use) => {
        for (const isolation of ["read committed", "repeatable read"]) {
          const pool = openPool({ connectionLimit: 1 });
          await pool.query(`set session transaction isolation level ${isolation}`);
          const store = await borrow(pool);
          await watcher.query(`create table if not exists ${database}.left_open (id int)`);
          const forgotten = await pool.getConnection();
          await forgotten.beginTransaction();
          await forgotten.query(`insert into ${database}.left_open values (1)`);
          forgotten.release();
          const thrown = await thrownBy(use(store));
          expect(thrown).toMatchObject({ code: "UNUSABLE" });
          expect(String(thrown)).toContain("left a transaction open");
          expect(await rowsOf(watcher, `select * from ${database}.left_open`)).toEqual([]);
          expect(await codeOf(use(store))).toBe("resolved");
        }
      });
    });

    test("a pool that lends a connection with an old snapshot has no part in what is read of an aggregate", async () => {
      const pool = openPool({ connectionLimit: 1 });
      const store = await borrow(pool);
      const forgotten = await pool.getConnection();
      await forgotten.query("set session transaction isolation level repeatable read");
      await forgotten.beginTransaction();
      await forgotten.query(`select count(*) from ${database}.tidemark_event`);
      forgotten.release();
      await store.append({
        aggregate: { type: "order", id: "1" },
        events: [{ id: "event", type: "placed", data: {} }],
      });
      expect(await allOf(store.readAggregate({ type: "order", id: "1" }))).toHaveLength(1);
    });

    describe("a pool of the store's own", () => {
      const sessionOf = async (store: MysqlStore): Promise<number> =>
        store.transaction(async (tx) => Number((await rowsOf(tx, "select connection_id() as id"))[0]?.["id"]));

      test.each<[string, string, PoolOptions]>([
        ["without a limit", "", { connectionLimit: 0, idleTimeout: 200 }],
        ["of one connection", "", { connectionLimit: 1, idleTimeout: 200 }],
        ["as a URL has it", "?connectionLimit=5&idleTimeout=200", {}],
        ["as a URL has it, and nothing else says", "?connectionLimit=5", { connectionLimit: 0, idleTimeout: 200 }],
      ])("closes connections that nobody uses: %s", async (_name, query, config) => {
        const uncaught: unknown[] = [];
        const onUncaught = (error: unknown): void => void uncaught.push(error);
        process.on("uncaughtException", onUncaught);
        cleanups.push(() => process.off("uncaughtException", onUncaught));
        const store = await open({ uri: url + query, ...config });
        const id = await sessionOf(store);
        await until(async () => (await threads(watcher)).every((thread) => thread.id !== id));
        expect(await sessionOf(store)).toBeGreaterThan(id);
        expect(uncaught).toEqual([]);
      });

      test.each([
        ["the only one", 1],
        ["all of them", 3],
      ])("keeps connections for a while: %s", async (_name, connectionLimit) => {
        const store = await open({ connectionLimit });
        const used = async (): Promise<readonly number[]> => {
          const { promise, resolve } = latch();
          let open = 0;
          const ids = Array.from({ length: connectionLimit }, () =>
            store.transaction(async (tx) => {
              open += 1;
              if (open === connectionLimit) resolve();
              await promise;
              return Number((await rowsOf(tx, "select connection_id() as id"))[0]?.["id"]);
            }),
          );
          return (await Promise.all(ids)).toSorted((a, b) => a - b);
        };
        const before = await used();
        // The driver looks once a second for those that it closes.
        await pause(2_500);
        expect(await used()).toEqual(before);
      });

      test.skipIf(!tellsKeepAlive).each<[string, string, PoolOptions, from: number, to: number]>([
        ["within seconds", "", {}, 0, 10],
        ["when the configuration says so", "", { keepAliveInitialDelay: 60_000 }, 10, 60],
        ["when the URL says so", "?keepAliveInitialDelay=60000", {}, 10, 60],
        ["never, where that is what it says", "", { enableKeepAlive: false }, Infinity, Infinity],
      ])("asks a server that says nothing whether it is there: %s", async (_name, query, config, from, to) => {
        const line = await createProxy(url);
        cleanups.push(() => line.close());
        const store = await open({ uri: line.url + query, ...config });
        await store.head();
        const seconds = (): Promise<readonly number[]> => keepAliveSeconds(Number(new URL(line.url).port));
        // Of the pool, and the reader session beside it.
        await until(async () => {
          const all = await seconds();
          return all.length >= 2 && all.every((each) => each >= from && each <= to);
        });
      });

      test("is not what sessions beside it are like", async () => {
        const store = await open({ uri: `${url}?connectionLimit=1&waitForConnections=false&queueLimit=1` });
        await store.append(placed("1"));
        const heads = await Promise.all(Array.from({ length: 20 }, () => store.head()));
        expect(heads).toEqual(heads.map(() => 1n));
      });
    });

    describe("sessions beside the pool", () => {
      const soon = () => ({ signal: AbortSignal.timeout(20_000) });
      const holding = async (store: MysqlStore, ids: readonly string[]): Promise<Connection> => {
        const holder = await connect(url);
        await holder.query("set session transaction isolation level read committed");
        await holder.beginTransaction();
        for (const id of ids) await store.within(holder).append(placed(id));
        return holder;
      };

      test("are not used up by appends that were given up while they waited for a lock", async () => {
        const store = await open();
        const holder = await holding(store, ["held"]);
        for (let n = 1; n <= 12; n++) {
          expect(await codeOf(store.append(placed("held"), { signal: AbortSignal.timeout(25) }))).toBe("ABORTED");
        }
        const waiting = async (): Promise<number> =>
          (await threads(watcher)).filter(({ info }) => info.includes("for update")).length;
        // Sooner than they would end by themselves.
        await until(async () => (await waiting()) <= 1, 5_000);
        expect(await codeOf(store.head(soon()))).toBe("resolved");
        expect(await codeOf(store.append(placed("free"), soon()))).toBe("resolved");
        expect(await codeOf(store.within(holder).append(placed("held"), soon()))).toBe("resolved");
        await holder.commit();
        await store.append(placed("held"));
        expect((await idsOf(store)).toSorted()).toEqual(["free", "held", "held", "held"]);
      });

      test("are as many as side lanes ask for", async () => {
        const store = await open({}, { groupCommit: { sideLanes: 10 } });
        const ids = Array.from({ length: 10 }, (_, n) => `held ${n}`);
        const holder = await holding(store, ids);
        const waiting = Promise.all(ids.map((id) => store.append(placed(id))));
        await until(
          async () => (await threads(watcher)).filter(({ info }) => info.includes("for update")).length === 10,
        );
        expect(await codeOf(store.within(holder).append(placed("more"), soon()))).toBe("resolved");
        expect(await codeOf(store.append(placed("free"), soon()))).toBe("resolved");
        expect(await codeOf(store.readAll(soon()))).toBe("resolved");
        await holder.commit();
        await waiting;
        expect(await idsOf(store)).toHaveLength(22);
      });
    });

    describe("a server that takes connections and says nothing", () => {
      test("is UNAVAILABLE, as soon as a call may not wait any longer, and no connection stays", async () => {
        const silent = await startSilent();
        cleanups.push(() => silent.close());
        const connection = `mysql://root@127.0.0.1:${silent.port}/none`;
        const startedAt = performance.now();
        expect(await codeOf(createMysqlStore({ connection, waitMs: 1_000 }))).toBe("UNAVAILABLE");
        expect(performance.now() - startedAt).toBeLessThan(20_000);
        await until(() => silent.connections === 0);
      });
    });

    describe("a new connection of the store's own", () => {
      test("is asked once how it is set", async () => {
        const store = await open();
        const looks = [1, 2, 3].map(() =>
          store.transaction(async (tx) => {
            const [row] = await rowsOf(tx, "show session status like 'Com_show_variables'");
            await tx.query("do sleep(0.1)");
            return Number(row?.["Value"]);
          }),
        );
        // One more on the connection that has looked at the server, when the store was opened.
        expect((await Promise.all(looks)).toSorted((a, b) => a - b)).toEqual([1, 1, 2]);
      });
    });

    describe("a transaction of the caller's", () => {
      const ways: readonly [
        string,
        () => Promise<{ readonly tx: MysqlConnection; run(sql: string): Promise<unknown> }>,
      ][] = [
        [
          "on a connection",
          async () => {
            const tx = await connect(url);
            return { tx, run: (sql) => tx.query(sql) };
          },
        ],
        [
          "on a pool's",
          async () => {
            const tx = await openPool().getConnection();
            cleanups.push(() => tx.release());
            return { tx, run: (sql) => tx.query(sql) };
          },
        ],
        [
          "with callbacks",
          async () => {
            const tx = createCallbackConnection({ uri: url });
            cleanups.push(() => tx.promise().end());
            return { tx, run: (sql) => tx.promise().query(sql) };
          },
        ],
        [
          "on a pool's with callbacks",
          async () => {
            const pool = createCallbackPool({ uri: url });
            cleanups.push(() => pool.promise().end());
            const tx = await new Promise<CallbackConnection>((resolve, reject) => {
              pool.getConnection((error, got) => (error === null ? resolve(got) : reject(error)));
            });
            return { tx, run: (sql) => tx.promise().query(sql) };
          },
        ],
        [
          "in another database",
          async () => {
            const tx = await connect();
            return { tx, run: (sql) => tx.query(sql) };
          },
        ],
      ];

      test.each(ways)("appends, commits and rolls back in each isolation: %s", async (_name, connected) => {
        const store = await open();
        const { tx, run } = await connected();
        expect(await codeOf(store.within(tx).append(placed("none")))).toBe("TRANSACTION_REQUIRED");
        for (const isolation of ["read committed", "repeatable read", "serializable", "read uncommitted"]) {
          await run(`set session transaction isolation level ${isolation}`);
          await run("begin");
          // A snapshot of before.
          expect(await allOf(store.within(tx).readAggregate({ type: "order", id: isolation }))).toEqual([]);
          await store.append(placed(`beside ${isolation}`));
          await store.within(tx).append(placed(isolation));
          expect(await allOf(store.within(tx).readAggregate({ type: "order", id: isolation }))).toHaveLength(1);
          // Of what its snapshot does not have.
          const code = await codeOf(store.within(tx).append(placed(`beside ${isolation}`)));
          if (flavour === "mariadb" && /repeatable|serializable/.test(isolation)) {
            expect(["resolved", "CONTENTION"]).toContain(code);
            if (code === "CONTENTION") {
              await run("rollback");
              expect((await idsOf(store)).slice(-1)).toEqual([`beside ${isolation}`]);
              continue;
            }
          }
          expect(code).toBe("resolved");
          await run("commit");
          await run("begin");
          await store.within(tx).append(placed("lost"));
          await run("rollback");
          expect((await idsOf(store)).slice(-3)).toEqual([`beside ${isolation}`, isolation, `beside ${isolation}`]);
        }
        expect(await store.frontierHolders()).toEqual([]);
        expect(await codeOf(store.within(tx).append(placed("none")))).toBe("TRANSACTION_REQUIRED");
      });

      test("may begin by itself, without autocommit", async () => {
        const store = await open();
        const client = await connect();
        await client.query("set autocommit = 0");
        await store.within(client).append(placed("1"));
        await client.query("commit");
        await store.within(client).append(placed("2"));
        await client.query("rollback");
        await store.within(client).append(placed("3"));
        await client.query("commit");
        expect(await idsOf(store)).toEqual(["1", "3"]);
      });

      test("on another server, or beside another log, is refused", async () => {
        const store = await open();
        const client = await connect();
        await client.query("begin");
        const other = await createDatabase(server.url);
        cleanups.push(() => other.drop());
        const elsewhere = closing(await createMysqlStore({ connection: other.url }));
        await elsewhere.within(client).append(placed("1"));
        expect(await codeOf(store.within(client).append(placed("1")))).toBe("resolved");
        await client.query("rollback");
        // The same tables, of a log that was made anew.
        await watcher.query(`update ${database}.tidemark_log set log_id = 'another'`);
        const second = await connect();
        await second.query("begin");
        expect(await codeOf(store.within(second).append(placed("1")))).toBe("LOG_MISMATCH");
        await second.query("rollback");
        await watcher.query(`drop table ${database}.tidemark_log`);
        const third = await connect();
        await third.query("begin");
        expect(await codeOf(store.within(third).append(placed("1")))).toBe("SCHEMA_MISMATCH");
      });

      test.each([
        ["NO_BACKSLASH_ESCAPES", "set session sql_mode = concat(@@sql_mode, ',NO_BACKSLASH_ESCAPES')"],
        ["not strict", "set session sql_mode = ''"],
        ["latin1", "set names latin1"],
        ["few rows", "set session sql_select_limit = 1"],
      ])("in a session that cannot work is refused: %s", async (_name, setting) => {
        const store = await open();
        const client = await connect();
        await client.query(setting);
        await client.query("begin");
        expect(await codeOf(store.within(client).append(placed("1")))).toBe("UNUSABLE");
        await client.query("commit");
        expect(await idsOf(store)).toEqual([]);
      });

      test("of XA takes appends until it has ended", async () => {
        const store = await open();
        const client = await connect();
        const id = `'${database}'`;
        await client.query(`xa start ${id}`);
        await store.within(client).append(placed("1"));
        await client.query(`xa end ${id}`);
        expect(await codeOf(store.within(client).append(placed("2")))).toBe("TRANSACTION_REQUIRED");
        await client.query(`xa prepare ${id}`);
        expect(await codeOf(store.within(client).append(placed("2")))).toBe("TRANSACTION_REQUIRED");
        await store.append(placed("beside"));
        expect(await idsOf(store)).toEqual([]);
        await client.query(`xa commit ${id}`);
        expect(await idsOf(store)).toEqual(["1", "beside"]);
      });

      describe.each(["frontier", "counter"] as const)(
        "whose session is set otherwise later, ordering %s,",
        (ordering) => {
          test.each<[setting: string, named: string, back: string]>([
            ["sql_mode = concat(@@sql_mode, ',NO_BACKSLASH_ESCAPES')", "sql_mode", "sql_mode = default"],
            ["sql_mode = ''", "sql_mode", "sql_mode = default"],
            ["names latin1", "character_set_client", "names utf8mb4"],
            ["character_set_connection = latin1", "character_set_connection", "names utf8mb4"],
            ["character_set_results = null", "character_set_results", "names utf8mb4"],
            ["sql_select_limit = 1", "sql_select_limit", "sql_select_limit = default"],
            ["sql_select_limit = 0", "sql_select_limit", "sql_select_limit = default"],
            ["unique_checks = 0", "unique_checks", "unique_checks = 1"],
            ["auto_increment_increment = 7", "auto_increment_increment", "auto_increment_increment = 1"],
          ])("is refused until it is set back: %s", async (setting, named, back) => {
            const store = await open({}, { ordering });
            const client = await connect();
            await client.query("begin");
            await store.within(client).append(placed("1"));
            await client.query(`set session ${setting}`.replace("session names", "names"));
            const refused = await thrownBy(store.within(client).append(placed("é 😀")));
            const read = await codeOf(allOf(store.within(client).readAggregate({ type: "order", id: "é 😀" })));
            await client.query(`set session ${back}`.replace("session names", "names"));
            if (ordering === "counter" && named === "auto_increment_increment") {
              expect([refused, read]).toEqual(["resolved", "resolved"]);
            } else {
              expect(refused).toMatchObject({ code: "UNUSABLE" });
              expect(String(refused)).toContain(named);
              expect(read).toBe("UNUSABLE");
            }
            await store.within(client).append(placed("2 é 😀"));
            await client.query("commit");
            expect((await idsOf(store)).filter((id) => id !== "é 😀")).toEqual(["1", "2 é 😀"]);
          });
        },
      );
    });

    test("hostile ids, types and data come back equal and are told apart", async () => {
      const store = await open();
      for (const [n, text] of HOSTILE.entries()) {
        const event = (id: string) => ({
          id,
          type: text.trim() === text ? text : "spaces",
          data: { text, [text]: [text] },
        });
        const request = { aggregate: { type: "order", id: text }, events: [event(`${text}1`), event(`${text}2`)] };
        if (n % 2 === 0) await store.append({ ...request, expected: 0 });
        else await store.transaction((_tx, inside) => inside.append({ ...request, expected: 0 }));
        // Known, and the same.
        expect((await store.append(request)).positions).toHaveLength(2);
      }
      const { events } = await store.readAll();
      expect(events.map(({ aggregate, data }) => [aggregate.id, data])).toEqual(
        HOSTILE.flatMap((text) => [1, 2].map(() => [text, { text, [text]: [text] }])),
      );
      for (const text of HOSTILE) {
        expect(await allOf(store.readAggregate({ type: "order", id: text }))).toHaveLength(2);
      }
      const nul = { type: "order", id: "data" };
      await store.append({ aggregate: nul, events: [{ type: "placed", data: { text: "\0 \u001a \n \r \b" } }] });
      expect(await allOf(store.readAggregate(nul))).toMatchObject([{ data: { text: "\0 \u001a \n \r \b" } }]);
    });

    describe("close()", () => {
      test("leaves no connection of the store's, also where it was not opened", async () => {
        const store = await open({ connectionLimit: 4 });
        await Promise.all([1, 2, 3, 4].map((n) => store.transaction((_tx, inside) => inside.append(placed(`${n}`)))));
        await store.readAll();
        expect((await threads(watcher)).length).toBeGreaterThan(1);
        await store.close();
        await until(async () => (await threads(watcher)).length === 0);
        await watcher.query(`delete from ${database}.tidemark_migration`);
        expect(await codeOf(open({}, { schema: "check" }))).toBe("SCHEMA_MISMATCH");
        await until(async () => (await threads(watcher)).length === 0);
      });

      test("lets the process end", async () => {
        const script = `
          import { createMysqlStore } from "@tidemark/adapter-mysql";
          const store = await createMysqlStore({ connection: ${JSON.stringify(url)} });
          await store.append({ aggregate: { type: "order", id: "1" }, events: [{ type: "placed", data: {} }] });
          await store.transaction((tx) => tx.query("select 1"));
          await store.readAll();
          await store.close();
          console.log("closed");`;
        const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
          cwd: import.meta.dirname,
          timeout: 20_000,
        });
        expect(stdout).toBe("closed\n");
      });
    });
  });

  describe(`a ${flavour} of one's own`, async () => {
    const answer = await findServer(flavour, { durable: true, ways: ["container", "binaries", "npm"] });
    if (answer.kind === "missing") return test.skip(`not tested: ${explain(answer)}`, () => undefined);
    return withOwn(answer.server);
  });
}

function withOwn(server: TestServer): void {
  afterAll(() => server.stop());
  useDatabase(server);

  test.each([64 * 1024, 1024 * 1024])("that takes packets of %i bytes takes appends that are longer", async (bytes) => {
    const admin = await connect();
    await admin.query(`set global max_allowed_packet = ${bytes}`);
    cleanups.push(() => admin.query("set global max_allowed_packet = 67108864"));
    const store = await open();
    const aggregate = (id: string) => ({ type: "order", id });
    const text = "it's \\ \" é 😀 ".repeat(Math.floor(bytes / 64));
    const events = Array.from({ length: 40 }, (_, n) => ({ type: "placed", data: { n, text } }));
    const heads = new Set<bigint>();
    let over = false;
    const reading = (async () => {
      while (!over) heads.add(await store.head());
    })();
    const first = await store.append({ aggregate: aggregate("append"), events });
    const second = await store.transaction((_tx, inside) => inside.append({ aggregate: aggregate("lent"), events }));
    const client = await connect(url);
    await client.query("begin");
    const third = await store.within(client).append({ aggregate: aggregate("within"), events });
    await client.query("commit");
    // All of them fit into one statement without their data.
    const many = Array.from({ length: bytes / 512 }, (_, n) => ({
      type: "placed",
      data: { n, text: "x".repeat(512) },
    }));
    const fourth = await store.append({ aggregate: aggregate("many"), events: many });
    over = true;
    await reading;
    for (const id of ["append", "lent", "within"]) {
      const stored = await allOf(store.readAggregate(aggregate(id)));
      expect(stored.map(({ data }) => data)).toEqual(events.map(({ data }) => data));
    }
    // Each append became visible as a whole.
    const ends = [first, second, third, fourth].map(({ positions }) => positions.at(-1));
    expect([0n, ...ends]).toEqual(expect.arrayContaining([...heads]));

    const huge = { aggregate: aggregate("huge"), events: [{ type: "placed", data: "x".repeat(bytes) }] };
    expect(await codeOf(store.append(huge))).toBe("UNUSABLE");
    expect(await codeOf(store.transaction((_tx, inside) => inside.append(huge)))).toBe("UNUSABLE");
    expect(await allOf(store.readAggregate(aggregate("huge")))).toEqual([]);
    expect(await codeOf(store.append(placed("next")))).toBe("resolved");
  });

  test("that is set otherwise for all has no part in what the store's own sessions are", async () => {
    const admin = await connect();
    const names = await rowsOf(admin, "show global variables like '%_read_only'");
    const readOnly = names
      .map(({ Variable_name }) => String(Variable_name))
      .find((name) => /^(transaction|tx)_/.test(name));
    const settings = [`${readOnly} = 1`, "unique_checks = 0", "sql_mode = ''", "sql_select_limit = 1"];
    for (const setting of settings) {
      await admin.query(`set global ${setting}`);
      cleanups.push(() => admin.query(`set global ${setting.replace(/=.*/, "= default")}`));
    }
    const store = await open();
    await store.append(placed("1"));
    await store.transaction(async (tx, inside) => {
      expect(await rowsOf(tx, `select @@unique_checks as checks, @@${readOnly} as readOnly`)).toEqual([
        { checks: 1, readOnly: 0 },
      ]);
      await inside.append(placed("2"));
    });
    await store.consumers.declare("books", { kind: "projector" });
    await store.consumers.disable({ name: "books", version: 1 });
    expect(await idsOf(store)).toEqual(["1", "2"]);
  });

  test(
    "that crashes and comes again has every event that was acknowledged, and the store goes on",
    { timeout: 180_000 },
    async () => {
      const store = closing(await createMysqlStore({ connection: url }));
      const acknowledged: string[] = [];
      const refused = new Set<string>();
      let over = false;
      const appending = Array.from({ length: 4 }, async (_, lane) => {
        for (let n = 0; !over; n++) {
          const id = `${lane}-${n}`;
          const code = await codeOf(store.append(placed(id)));
          if (code === "resolved") acknowledged.push(id);
          else refused.add(code);
        }
      });
      await until(() => acknowledged.length > 50, 50_000);
      const { promise: inTransaction, resolve: isOpen } = latch();
      const { promise: end, resolve: finish } = latch();
      const lost = codeOf(
        store.transaction(async (_tx, inside) => {
          await inside.append(placed("lost"));
          isOpen();
          await end;
        }),
      );
      await inTransaction;
      await server.restart?.();
      finish();
      expect(await lost).toBe("UNAVAILABLE");
      const before = acknowledged.length;
      await until(() => acknowledged.length > before + 20, 50_000);
      over = true;
      await Promise.all(appending);
      expect([...refused].filter((code) => code !== "UNAVAILABLE")).toEqual([]);
      const seen: string[] = [];
      for (let page = await persist(() => store.readAll()); page.events.length > 0;) {
        seen.push(...page.events.map((event) => event.aggregate.id));
        page = await store.readAll({ after: page.next });
      }
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen).toEqual(expect.arrayContaining(acknowledged));
      expect(seen).not.toContain("lost");
    },
  );
}

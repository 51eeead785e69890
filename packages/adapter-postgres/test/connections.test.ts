import { createPostgresStore } from "@tidemark/adapter-postgres";
import { isTidemarkError, isTransient } from "@tidemark/core";
import { explain, findServer, type TestServer } from "@tidemark/test-servers";
import { keepAliveSeconds, tellsKeepAlive } from "@tidemark/test-servers/keep-alive";
import { createProxy } from "@tidemark/test-servers/proxy";
import { type SilentServer, startSilent } from "@tidemark/test-servers/silent";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { type Client, type PoolConfig, types } from "pg";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import {
  backends,
  borrow,
  cleanups,
  closing,
  codeOf,
  connect,
  idsOf,
  latch,
  open,
  openPool,
  persist,
  placed,
  schemaName,
  terminate,
  thrownBy,
  until,
  url,
  useDatabase,
} from "./fixture.ts";

describeWithServer("postgres", (server) => {
  useDatabase(server);

  let watcher: Client;
  beforeEach(async () => {
    watcher = await connect();
  });
  const pids = async (): Promise<readonly number[]> => (await backends(watcher)).map(({ pid }) => pid);

  describe("a transaction that stands still", () => {
    test("is given up by the server, readers go on, and so does the store", async () => {
      const pool = openPool({ max: 2 });
      await open();
      const store = await borrow(pool, { idleInTransactionMs: 5_000 });
      const { promise: stands, resolve: standStill } = latch();
      const { promise: end, resolve: finish } = latch();
      const late: string[] = [];
      const outcome = store.transaction(async (tx, inside) => {
        await inside.append(placed("idle"));
        standStill();
        await end;
        late.push(await codeOf(inside.append(placed("late"))));
        await tx.query("select 1");
      });
      const failed = codeOf(outcome);
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
      expect(pool.totalCount).toBe(pool.idleCount);
    });

    test("is told so although the work notices nothing", async () => {
      await open();
      const store = await open({}, { idleInTransactionMs: 500 });
      const thrown = await thrownBy(
        store.transaction(async (tx, inside) => {
          await inside.append(placed("idle"));
          const { rows } = await tx.query<{ pid: number }>("select pg_backend_pid() as pid");
          await until(async () => !(await pids()).includes(rows[0]?.pid ?? 0));
        }),
      );
      expect(thrown).toMatchObject({
        code: "TRANSACTION_TIMEOUT",
        details: { allowedMs: 500 },
        cause: { code: "25P03" },
      });
      expect(await idsOf(store)).toEqual([]);
    });
  });

  describe("a limit that the role has", () => {
    /** A URL of a role that has these settings. */
    async function withSettings(...settings: readonly string[]): Promise<string> {
      const role = `${schemaName}_role`;
      await watcher.query(`create role ${role} login superuser password 'limited'`);
      cleanups.push(() => watcher.query(`drop role ${role}`));
      for (const setting of settings) await watcher.query(`alter role ${role} set ${setting}`);
      const at = new URL(url);
      at.username = role;
      at.password = "limited";
      return at.href;
    }

    test("for statements makes a call BUSY, and the next one goes on", async () => {
      await open();
      const store = await open({ connectionString: await withSettings("statement_timeout = '2s'") });
      await watcher.query("begin");
      await watcher.query(`lock table ${schemaName}.event`);
      const thrown = await thrownBy(store.readAll());
      expect(thrown).toMatchObject({ code: "BUSY", cause: { code: "57014" } });
      expect(isTransient(thrown)).toBe(true);
      const inside = await thrownBy(store.transaction((_tx, within) => within.append(placed("1"))));
      expect(inside).toMatchObject({ code: "BUSY" });
      await watcher.query("rollback");
      expect(await codeOf(store.append(placed("2")))).toBe("resolved");
      expect(await idsOf(store)).toEqual(["2"]);
    });

    test("for locks makes a call BUSY, and the next one goes on", async () => {
      await open();
      const store = await open({ connectionString: await withSettings("lock_timeout = '100ms'") });
      await watcher.query("begin");
      await watcher.query(`lock table ${schemaName}.event`);
      expect(await thrownBy(store.readAll())).toMatchObject({ code: "BUSY", cause: { code: "55P03" } });
      await watcher.query("rollback");
      expect(await codeOf(store.append(placed("1")))).toBe("resolved");
      expect(await idsOf(store)).toEqual(["1"]);
    });

    test("for another isolation does not matter", async () => {
      await open();
      const isolation = "default_transaction_isolation = 'serializable'";
      const store = await open({ connectionString: await withSettings(isolation) });
      await store.append(placed("1"));
      await store.transaction((_tx, inside) => inside.append(placed("2")));
      expect(await idsOf(store)).toEqual(["1", "2"]);
    });

    test("for transactions to be read-only is said, and looked for again on a new connection", async () => {
      await open();
      const readOnly = await withSettings("default_transaction_read_only = on");
      const store = await open({ connectionString: readOnly, max: 1 }, { retry: { attempts: 1 } });
      expect(await codeOf(store.append(placed("1")))).toBe("UNAVAILABLE");
      expect(await codeOf(store.head())).toBe("resolved");
      await watcher.query(`alter role ${new URL(readOnly).username} reset default_transaction_read_only`);
      expect(await codeOf(store.append(placed("2")))).toBe("UNAVAILABLE");
      expect(await codeOf(store.append(placed("3")))).toBe("resolved");
    });

    test("that the driver has for answers is UNAVAILABLE, and the connection is not used again", async () => {
      await open();
      const pool = openPool({ max: 1, query_timeout: 5_000 });
      const store = await borrow(pool, { retry: { attempts: 1 } });
      await watcher.query("begin");
      await watcher.query(`lock table ${schemaName}.event`);
      expect(await codeOf(store.readAll())).toBe("UNAVAILABLE");
      expect(pool.totalCount).toBe(0);
      await watcher.query("rollback");
      expect(await codeOf(store.append(placed("1")))).toBe("resolved");
    });
  });

  describe("a connection that is terminated", () => {
    test("while it is idle is replaced without a word", async () => {
      const store = await open();
      await store.append(placed("1"));
      await terminate(watcher, await pids());
      await until(async () => (await codeOf(store.append(placed("2")))) === "resolved");
      expect(await idsOf(store)).toEqual(["1", "2"]);
    });

    test("while a statement runs is UNAVAILABLE", async () => {
      const store = await open({}, { retry: { attempts: 1 } });
      const locker = await connect();
      await locker.query("begin");
      await locker.query(`lock table ${schemaName}.event`);
      const outcome = codeOf(store.readAll());
      await until(async () => (await backends(watcher)).some(({ state }) => state === "active"));
      await terminate(watcher, await pids());
      expect(await outcome).toBe("UNAVAILABLE");
      await locker.query("rollback");
      await store.append(placed("next"));
      expect(await idsOf(store)).toEqual(["next"]);
    });

    test("inside of a transaction rolls it back and is UNAVAILABLE", async () => {
      const store = await open();
      const thrown = await thrownBy(
        store.transaction(async (_tx, inside) => {
          await inside.append(placed("1"));
          await terminate(watcher, await pids());
        }),
      );
      expect(thrown).toMatchObject({ code: "UNAVAILABLE" });
      expect(isTransient(thrown)).toBe(true);
      await store.append(placed("next"));
      expect(await idsOf(store)).toEqual(["next"]);
    });

    test("is worked around where the transaction may be tried again", async () => {
      const store = await open();
      let runs = 0;
      await store.transaction(
        async (_tx, inside) => {
          runs += 1;
          await inside.append(placed(`run ${runs}`));
          if (runs === 1) await terminate(watcher, await pids());
        },
        { retry: "transient" },
      );
      expect(await idsOf(store)).toEqual(["run 2"]);
    });
  });

  describe("a borrowed pool", () => {
    test("stays open, and its clients come back as they were", async () => {
      const pool = openPool({ max: 1 });
      const client = await pool.connect();
      await client.query("set statement_timeout = '77s'; set application_name = 'mine'; set search_path = nowhere");
      // Those of plpgsql are there once it is loaded.
      const settings = "select name, setting from pg_settings where name not like 'plpgsql.%' order by name";
      const before = (await client.query<{ name: string; setting: string }>(settings)).rows;
      const listeners = client.eventNames().map((name) => [name, client.listenerCount(name)]);
      client.release();

      const store = await borrow(pool);
      await store.append(placed("1"));
      await store.transaction((_tx, inside) => inside.append(placed("2")));
      await thrownBy(
        store.transaction(async () => {
          throw new Error("from the work");
        }),
      );
      await idsOf(store);
      await store.close();

      const same = await pool.connect();
      cleanups.push(() => same.release());
      expect(same).toBe(client);
      const after = (await same.query<{ name: string; setting: string }>(settings)).rows;
      // What the store marks its transactions with is known to the session from then on, and empty.
      const ofOurs = after.filter(({ name }) => name.startsWith("tidemark_store."));
      expect(ofOurs.every(({ setting }) => setting === "")).toBe(true);
      expect(after.filter(({ name }) => !name.startsWith("tidemark_store."))).toEqual(before);
      expect(same.eventNames().map((name) => [name, same.listenerCount(name)])).toEqual(listeners);
      expect(same.getTransactionStatus()).toBe("I");
      const { rows } = await same.query(
        "select 1 as one from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'",
      );
      expect(rows).toEqual([]);
      expect(pool.ended).toBe(false);
    });

    test("may be lent to two stores, and be used beside them", async () => {
      const pool = openPool({ max: 2 });
      const one = await borrow(pool);
      const other = await borrow(pool, { schemaName: `${schemaName}_b` });
      await Promise.all(
        Array.from({ length: 20 }, async (_, n) => {
          await one.append(placed(`${n}`));
          await other.append(placed(`${n}`));
          await pool.query({ name: `app_${n % 3}`, text: "select $1::integer as n", values: [n] });
        }),
      );
      expect(await idsOf(one)).toHaveLength(20);
      expect(await idsOf(other)).toHaveLength(20);
      expect(pool.totalCount).toBe(pool.idleCount);
    });

    test("whose clients prepare statements of their own keeps those apart from the store's", async () => {
      const pool = openPool({ max: 1 });
      const store = await borrow(pool);
      await store.append(placed("1"));
      const { rows } = await pool.query<{ name: string }>("select name from pg_prepared_statements");
      expect(rows.length).toBeGreaterThan(0);
      for (const [number, name] of ["append", "head", "tidemark", "1"].entries()) {
        await pool.query({ name, text: `select ${number}` });
      }
      await store.append(placed("2"));
      expect(await idsOf(store)).toEqual(["1", "2"]);
    });

    test("with other parsers for types, set for the whole process, gives the same values", async () => {
      // bool, int8, int2, int4, text, json, and arrays of int2, int4, text and int8.
      const changed = [16, 20, 21, 23, 25, 114, 1005, 1007, 1009, 1016].map(asTypeId);
      const before = changed.map((oid) => asParser(types.getTypeParser(oid, "text")));
      cleanups.push(() => changed.forEach((oid, n) => types.setTypeParser(oid, (text) => before[n]?.(text))));
      for (const oid of changed) types.setTypeParser(oid, () => "not what the store wants");
      const store = await borrow(openPool());
      const result = await store.append(placed("1"));
      expect(result).toMatchObject({ first: 1, last: 1, positions: [1n] });
      await store.consumers.declare("bookkeeping", { kind: "projector" });
      const zone = await store.enterZone("bookkeeping");
      await zone?.leave();
      const { events } = await store.readAll();
      expect(events).toMatchObject([{ position: 1n, version: 1, data: { id: "1" }, aggregate: { id: "1" } }]);
      expect(await store.consumers.get("bookkeeping")).toMatchObject({ enabled: true });
    });

    test("gets back a client that came too late, for whom nobody waits any more", async () => {
      const pool = openPool({ max: 1 });
      await open();
      const store = await borrow(pool, { waitMs: 5_000 });
      const held = await pool.connect();
      expect(await codeOf(store.head())).toBe("BUSY");
      const abort = new AbortController();
      const aborted = codeOf(store.head({ signal: abort.signal }));
      abort.abort();
      expect(await aborted).toBe("ABORTED");
      held.release();
      await until(() => pool.waitingCount === 0 && pool.idleCount === 1);
      expect(await codeOf(store.append(placed("1")))).toBe("resolved");
    });

    test("whose client is lost while the store has it does not end the process", async () => {
      const pool = openPool({ max: 1 });
      const store = await borrow(pool);
      const uncaught: unknown[] = [];
      const onUncaught = (error: unknown): void => void uncaught.push(error);
      process.on("uncaughtException", onUncaught);
      cleanups.push(() => process.off("uncaughtException", onUncaught));
      for (let round = 1; round <= 3; round++) {
        const outcome = store.transaction(async () => {
          await terminate(watcher, await pids());
          throw new Error("from the work");
        });
        await thrownBy(outcome);
      }
      expect(await codeOf(store.append(placed("1")))).toBe("resolved");
      expect(uncaught).toEqual([]);
    });
  });

  describe("a server that takes connections and says nothing is UNAVAILABLE", () => {
    let silent: SilentServer;
    let connectionString: string;
    beforeEach(async () => {
      silent = await startSilent();
      cleanups.push(() => silent.close());
      connectionString = `postgres://postgres@127.0.0.1:${silent.port}/none`;
    });

    test("as soon as a call may not wait any longer, and no connection stays", async () => {
      const refused = await thrownBy(open({ connectionString }, { waitMs: 1_000 }));
      expect(isTidemarkError(refused, "UNAVAILABLE") && refused.message).toContain("the call may be repeated");
      await until(() => silent.connections === 0);
    });

    test("also through a pool that would wait for ever", async () => {
      const pool = openPool({ connectionString });
      expect(await codeOf(borrow(pool, { waitMs: 200 }))).toBe("UNAVAILABLE");
      // The pool lets its clients go when they are.
      silent.close();
    });
  });

  test.skipIf(!tellsKeepAlive).each<[string, PoolConfig, from: number, to: number]>([
    ["within seconds", {}, 0, 10],
    ["when the configuration says so", { keepAliveInitialDelayMillis: 60_000 }, 10, 60],
    ["never, where that is what it says", { keepAlive: false }, Infinity, Infinity],
  ])("a server that says nothing is asked whether it is there: %s", async (_name, config, from, to) => {
    const line = await createProxy(url);
    cleanups.push(() => line.close());
    await open({ connectionString: line.url, ...config }, { notify: true });
    const seconds = (): Promise<readonly number[]> => keepAliveSeconds(Number(new URL(line.url).port));
    // Of the pool, one that tells, and one that listens.
    await until(async () => {
      const all = await seconds();
      return all.length >= 2 && all.every((each) => each >= from && each <= to);
    });
  });

  test("appends that share a pool of one with long transactions wait for it", async () => {
    const store = await borrow(openPool({ max: 1 }));
    const results = await Promise.all([
      store.transaction((_tx, inside) => inside.append(placed("1"))),
      store.append(placed("2")),
      store.head(),
      store.transaction((_tx, inside) => inside.append(placed("3"))),
    ]);
    expect(results).toHaveLength(4);
    expect(await idsOf(store)).toHaveLength(3);
  });
});

describe("a server that crashes and comes again", async () => {
  const answer = await findServer("postgres", { durable: true, ways: ["container", "binaries", "npm"] });
  if (answer.kind === "missing") return test.skip(`not tested: ${explain(answer)}`, () => undefined);
  return withOwn(answer.server);
});

function withOwn(server: TestServer): void {
  afterAll(() => server.stop());
  useDatabase(server);

  test("has every event that was acknowledged, and the store goes on", { timeout: 180_000 }, async () => {
    const store = closing(await createPostgresStore({ connection: url, schemaName }));
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
  });
}

type TypeId = Parameters<typeof types.setTypeParser>[0];

/** The driver's types know the oids of some types only. */
function asTypeId(oid: unknown): TypeId {
  return oid as TypeId;
}

function asParser(parser: unknown): (text: string) => unknown {
  return parser as (text: string) => unknown;
}

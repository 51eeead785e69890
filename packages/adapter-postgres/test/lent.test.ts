import { isTransient } from "@tidemark/core";
import { createProxy } from "@tidemark/test-servers/proxy";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { type Client, DatabaseError } from "pg";
import Cursor from "pg-cursor";
import QueryStream from "pg-query-stream";
import { beforeEach, describe, expect, test } from "vitest";
import {
  backends,
  borrow,
  cleanups,
  codeOf,
  connect,
  idsOf,
  isWaiting,
  latch,
  open,
  openPool,
  placed,
  schemaName,
  thrownBy,
  until,
  url,
  useDatabase,
} from "./fixture.ts";

describeWithServer("postgres", (server) => {
  useDatabase(server);

  let watcher: Client;
  let notes: string;
  beforeEach(async () => {
    watcher = await connect();
    notes = `${schemaName}_notes`;
    await watcher.query(`create table ${notes} (text text primary key)`);
  });
  const noted = async (): Promise<readonly unknown[]> => {
    const { rows } = await watcher.query<{ text: string }>(`select text from ${notes} order by text`);
    return rows.map(({ text }) => text);
  };
  const note = (text: string): string => `insert into ${notes} values ('${text}')`;

  describe("a statement of the borrower", () => {
    test("that failed and was swallowed leaves nothing of the transaction behind", async () => {
      const store = await open();
      const outcome = store.transaction(async (tx, inside) => {
        await inside.append(placed("1"));
        await tx.query(note("1"));
        await tx.query("select 1 / 0").catch(() => undefined);
      });
      expect(await codeOf(outcome)).toBe("TRANSACTION_ENDED");
      expect(await idsOf(store)).toEqual([]);
      expect(await noted()).toEqual([]);
    });

    test("that failed after a savepoint is made good by rolling back to it", async () => {
      const store = await open();
      await store.transaction(async (tx, inside) => {
        await inside.append(placed("1"));
        await tx.query("savepoint mine");
        await tx.query("select 1 / 0").catch(() => undefined);
        await tx.query("rollback to savepoint mine");
      });
      expect(await idsOf(store)).toEqual(["1"]);
    });

    test.each([
      ["commit", ["commit"], true],
      ["rollback", ["rollback"], false],
      ["commit and begin", ["commit", "begin"], true],
      ["rollback and begin", ["rollback", "begin"], false],
      ["commit and chain", ["commit and chain"], true],
      ["rollback and chain", ["rollback and chain"], false],
      ["several in one query, with a commit among them", ["select 1; commit; select 2; begin"], true],
      ["commit of one that has failed", ["rollback prepared 'nobody'", "commit"], false],
    ])("that ends the transaction is detected: %s", async (_name, statements, keeps) => {
      const pool = openPool({ max: 1 });
      const store = await borrow(pool);
      const outcome = store.transaction(async (tx, inside) => {
        await tx.query(note("before"));
        for (const statement of statements) await tx.query(statement).catch(() => undefined);
        await inside.append(placed("after"));
        await tx.query(note("after"));
      });
      expect(await codeOf(outcome)).toBe("TRANSACTION_ENDED");
      expect(await idsOf(store)).toEqual([]);
      // What it committed itself is there; what came after is not.
      expect(await noted()).toEqual(keeps ? ["before"] : []);
      const { rows } = await pool.query("select transaction_timestamp() <> statement_timestamp() as open");
      expect(rows).toEqual([{ open: false }]);
      expect(await codeOf(store.append(placed("next")))).toBe("resolved");
    });

    test("that ends the transaction is detected although the work throws something else", async () => {
      const store = await open();
      const thrown = await thrownBy(
        store.transaction(async (tx) => {
          await tx.query("commit");
          throw new Error("from the work");
        }),
      );
      expect(thrown).toMatchObject({ code: "TRANSACTION_ENDED", cause: { message: "from the work" } });
    });

    test("is refused once the work has returned, as a promise and as a stream", async () => {
      const store = await open();
      const tx = await store.transaction(async (lent) => lent);
      expect(await codeOf(tx.query(note("late")))).toBe("TRANSACTION_ENDED");
      expect(() => tx.query(new Cursor("select 1"))).toThrow(expect.objectContaining({ code: "TRANSACTION_ENDED" }));
      expect(await noted()).toEqual([]);
    });

    test("that nobody awaits is part of the transaction", async () => {
      const store = await open();
      await store.transaction(async (tx, inside) => {
        await inside.append(placed("1"));
        void tx.query(note("1"));
      });
      expect(await noted()).toEqual(["1"]);
      expect(await idsOf(store)).toEqual(["1"]);
    });

    test("that nobody awaits and that fails takes everything with it", async () => {
      const store = await open();
      const failed: unknown[] = [];
      const outcome = store.transaction(async (tx, inside) => {
        await inside.append(placed("1"));
        tx.query("select 1 / 0").catch((error: unknown) => failed.push(error));
      });
      expect(await codeOf(outcome)).toBe("TRANSACTION_ENDED");
      expect(failed).toHaveLength(1);
      expect(await idsOf(store)).toEqual([]);
    });

    test("that nobody awaits and that commits is detected", async () => {
      const store = await open();
      const outcome = store.transaction(async (tx) => void tx.query("commit"));
      expect(await codeOf(outcome)).toBe("TRANSACTION_ENDED");
      expect(await codeOf(store.append(placed("next")))).toBe("resolved");
    });

    test("that fails only at the commit keeps its own error", async () => {
      const store = await open();
      await watcher.query(`
        create table ${notes}_of (text text references ${notes} deferrable initially deferred)`);
      const thrown = await thrownBy(
        store.transaction(async (tx, inside) => {
          await inside.append(placed("1"));
          await tx.query(`insert into ${notes}_of values ('nobody')`);
        }),
      );
      expect(thrown).toMatchObject({ code: "23503" });
      expect(await idsOf(store)).toEqual([]);
      expect(await codeOf(store.append(placed("next")))).toBe("resolved");
    });
  });

  describe("a cursor of the borrower", () => {
    test("and a stream yield their rows inside of the transaction", async () => {
      const store = await open();
      const seen = await store.transaction(async (tx, inside) => {
        await tx.query("savepoint mine");
        await inside.append(placed("1"));
        const cursor = tx.query(new Cursor("select generate_series(1, 5) as n"));
        const rows: unknown[] = [];
        for (let round = 1; round <= 2; round++) rows.push(...asRows(await cursor.read(3)));
        await cursor.close();
        for await (const row of tx.query(new QueryStream("select generate_series(6, 7) as n"))) rows.push(row);
        return rows;
      });
      expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7].map((n) => ({ n })));
      expect(await idsOf(store)).toEqual(["1"]);
    });

    test("that is left open does not keep the store from committing", async () => {
      const pool = openPool({ max: 1 });
      const store = await borrow(pool);
      await store.transaction(async (tx, inside) => {
        await inside.append(placed("cursor"));
        await tx.query(new Cursor("select generate_series(1, 5)")).read(1);
      });
      await store.transaction(async (tx, inside) => {
        await inside.append(placed("stream"));
        const stream = tx.query(new QueryStream("select generate_series(1, 500) as n", [], { batchSize: 1 }));
        for await (const row of stream) {
          expect(row).toEqual({ n: 1 });
          break;
        }
      });
      await store.transaction(async (tx, inside) => {
        await inside.append(placed("unread"));
        tx.query(new Cursor("select generate_series(1, 5)"));
      });
      expect(await idsOf(store)).toEqual(["cursor", "stream", "unread"]);
      expect(pool.totalCount).toBe(1);
    });

    test("that is left open by work that failed leaves nothing behind", async () => {
      const pool = openPool({ max: 1 });
      const store = await borrow(pool);
      const outcome = store.transaction(async (tx, inside) => {
        await inside.append(placed("1"));
        await tx.query(new Cursor("select generate_series(1, 5)")).read(1);
        throw new Error("from the work");
      });
      expect(await codeOf(outcome)).toBe("Error: from the work");
      expect(await idsOf(store)).toEqual([]);
      expect(await codeOf(store.append(placed("next")))).toBe("resolved");
    });
  });

  describe("what the work throws", () => {
    test("is told apart from what happens to the connection", async () => {
      const store = await open();
      const foreign = Object.assign(new Error("no such file"), { code: "ENOENT", syscall: "open" });
      const thrown = await thrownBy(
        store.transaction(async () => {
          throw foreign;
        }),
      );
      expect(thrown).toBe(foreign);
      const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
      expect(
        await thrownBy(
          store.transaction(async () => {
            throw refused;
          }),
        ),
      ).toBe(refused);
    });

    test("keeps its own class where the server has said what its statement did wrong", async () => {
      const store = await open();
      const thrown = await thrownBy(
        store.transaction(async (tx) => {
          await tx.query(note("1"));
          await tx.query(note("1"));
        }),
      );
      expect(thrown).toBeInstanceOf(DatabaseError);
      expect(thrown).toMatchObject({ code: "23505" });
    });

    test("is transient where its statement was the victim of a deadlock, wrapped or not", async () => {
      const store = await open();
      await watcher.query(note("a"));
      await watcher.query(note("b"));
      const other = await connect();
      await other.query("set deadlock_timeout = '1h'");
      const lock = (text: string): string => `select from ${notes} where text = '${text}' for update`;
      for (const wrap of [(error: unknown) => error, (cause: unknown) => new Error("Failed query", { cause })]) {
        await other.query("begin");
        await other.query(lock("b"));
        let blocked: Promise<unknown> = Promise.resolve();
        const thrown = await thrownBy(
          store.transaction(async (tx) => {
            await tx.query("set local deadlock_timeout = '20ms'");
            await tx.query(lock("a"));
            blocked = other.query(lock("a"));
            await until(async () => isWaiting(watcher, other));
            await tx.query(lock("b")).catch((error: unknown) => {
              throw wrap(error);
            });
          }),
        );
        await blocked;
        await other.query("rollback");
        expect(thrown).toMatchObject({ code: "CONTENTION" });
        expect(isTransient(thrown)).toBe(true);
      }
    });

    test("is transient where the connection was lost, wrapped or not", async () => {
      const store = await open();
      for (const wrap of [(error: unknown) => error, (cause: unknown) => new Error("Failed query", { cause })]) {
        const thrown = await thrownBy(
          store.transaction(async (tx) => {
            await tx.query("select pg_terminate_backend(pg_backend_pid())").catch((error: unknown) => {
              throw wrap(error);
            });
          }),
        );
        expect(thrown).toMatchObject({ code: "UNAVAILABLE" });
        expect(isTransient(thrown)).toBe(true);
      }
    });
  });

  describe("a signal that fires while a statement of the work runs", () => {
    test.each([1, 4])("ends the statement and the transaction, in a pool of %i", async (max) => {
      const pool = openPool({ max });
      const store = await borrow(pool);
      const { promise: asleep, resolve: sleeps } = latch();
      const abort = new AbortController();
      const outcome = store.transaction(
        async (tx, inside) => {
          await inside.append(placed("1"));
          sleeps();
          await tx.query("select pg_sleep(600)");
        },
        { signal: abort.signal },
      );
      await asleep;
      await until(async () => (await backends(watcher)).some(({ query }) => query.includes("pg_sleep(600)")));
      abort.abort();
      expect(await codeOf(outcome)).toBe("ABORTED");
      expect(await idsOf(store)).toEqual([]);
      await until(async () => (await store.frontierHolders()).length === 0);
      await until(async () => (await backends(watcher)).every(({ state }) => state === "idle"));
      await until(() => pool.totalCount === pool.idleCount);
      expect(pool.waitingCount).toBe(0);
    });

    test("ends a statement that waits for a lock", async () => {
      const pool = openPool({ max: 1 });
      const store = await borrow(pool);
      await watcher.query("begin");
      await watcher.query(`lock table ${notes}`);
      const abort = new AbortController();
      const outcome = store.transaction(
        async (tx) => {
          setTimeout(() => abort.abort(), 50);
          await tx.query(note("1"));
        },
        { signal: abort.signal },
      );
      expect(await codeOf(outcome)).toBe("ABORTED");
      await until(async () => (await backends(watcher)).every(({ state }) => state === "idle"));
      await watcher.query("commit");
      expect(await noted()).toEqual([]);
      expect(await codeOf(store.append(placed("next")))).toBe("resolved");
    });

    test("ends it a little later when the server lets nobody in at first", async () => {
      const line = await createProxy(url);
      cleanups.push(() => line.close());
      const pool = openPool({ connectionString: line.url, max: 1 });
      const store = await borrow(pool);
      await watcher.query("begin");
      await watcher.query(`lock table ${notes}`);
      const abort = new AbortController();
      const outcome = store.transaction((tx) => tx.query(note("1")), { signal: abort.signal });
      await until(async () => (await backends(watcher)).some(({ query }) => query === note("1")));
      line.redirect("postgres://127.0.0.1:1");
      abort.abort();
      expect(await codeOf(outcome)).toBe("ABORTED");
      line.redirect(url);
      await until(async () => (await backends(watcher)).every(({ query }) => query !== note("1")));
      await watcher.query("commit");
      expect(await noted()).toEqual([]);
    });

    test("rolls back at once while the work does something else", async () => {
      const pool = openPool({ max: 1 });
      const store = await borrow(pool);
      const abort = new AbortController();
      const { promise: end, resolve: finish } = latch();
      const late: string[] = [];
      const outcome = store.transaction(
        async (tx, inside) => {
          await inside.append(placed("1"));
          abort.abort();
          await end;
          late.push(await codeOf(tx.query(note("1"))));
        },
        { signal: abort.signal },
      );
      expect(await codeOf(outcome)).toBe("ABORTED");
      expect(await store.frontierHolders()).toEqual([]);
      finish();
      await until(() => late.length === 1);
      expect(late).toEqual(["TRANSACTION_ENDED"]);
      expect(pool.totalCount).toBe(1);
      expect(await noted()).toEqual([]);
    });
  });
});

function asRows(rows: unknown): readonly unknown[] {
  return rows as readonly unknown[];
}

import type { MysqlTransaction } from "@tidemark/adapter-mysql";
import { consume, defineSaga, isTransient } from "@tidemark/core";
import { createProxy } from "@tidemark/test-servers/proxy";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import type { Connection, Pool } from "mysql2/promise";
import { beforeEach, describe, expect, test } from "vitest";
import {
  allOf,
  borrow,
  cleanups,
  codeOf,
  connect,
  countsOf,
  database,
  FLAVOURS,
  idsOf,
  isInTransaction,
  latch,
  open,
  openPool,
  placed,
  rowsOf,
  threads,
  terminate,
  thrownBy,
  until,
  url,
  useDatabase,
} from "./fixture.ts";

interface Moves {
  readonly moved: { readonly to: string };
}

/** Backslashes, quotes, and a character of four bytes. */
const DATA = { text: 'it\'s \\ "quoted" 😀 é', nothing: "" };

for (const flavour of FLAVOURS) {
  describeWithServer(flavour, (server) => {
    useDatabase(server);

    let watcher: Connection;
    let notes: string;
    beforeEach(async () => {
      watcher = await connect();
      notes = `${database}.notes`;
      await watcher.query(`create table ${notes} (text varchar(100) primary key)`);
      await watcher.query(`create procedure ${database}.ends() commit`);
    });
    const noted = async (): Promise<readonly unknown[]> =>
      (await rowsOf(watcher, `select text from ${notes} order by text`)).map(({ text }) => text);
    const note = (text: string): string => `insert into ${notes} values ('${text}')`;
    const lock = (text: string): string => `select text from ${notes} where text = '${text}' for update`;

    describe("a statement of the borrower", () => {
      test("that failed and was swallowed has written nothing, and the rest commits as one", async () => {
        const store = await open();
        await watcher.query(note("taken"));
        await store.transaction(async (tx, inside) => {
          await inside.append(placed("1"));
          await tx.query(`insert into ${notes} values ('1'), ('taken')`).catch(() => undefined);
          await tx.query(note("2"));
        });
        expect(await idsOf(store)).toEqual(["1"]);
        expect(await noted()).toEqual(["2", "taken"]);
      });

      test("that failed after a savepoint is made good by rolling back to it", async () => {
        const store = await open();
        await store.transaction(async (tx, inside) => {
          await inside.append(placed("1"));
          await tx.query("savepoint mine");
          await inside.append(placed("2"));
          await tx.query(note("2"));
          await tx.query("select nothing").catch(() => undefined);
          await tx.query("rollback to savepoint mine");
          await inside.append(placed("3"));
          await tx.query("release savepoint mine");
        });
        expect(await idsOf(store)).toEqual(["1", "3"]);
        expect(await noted()).toEqual([]);
      });

      test.each([
        ["commit", ["commit"], true],
        ["rollback", ["rollback"], false],
        ["commit and begin", ["commit", "begin"], true],
        ["rollback and begin", ["rollback", "begin"], false],
        ["commit and chain", ["commit and chain"], true],
        ["rollback and chain", ["rollback and chain"], false],
        ["begin", ["begin"], true],
        ["autocommit", ["set autocommit = 1"], true],
        ["autocommit, for a while", ["set autocommit = 1", "set autocommit = 0"], true],
        ["a table that is made", ["create table DATABASE.more (n int)"], true],
        ["a table that is made, and a begin", ["create table DATABASE.more (n int)", "begin"], true],
        ["a table that is locked", ["lock tables DATABASE.notes write"], true],
        ["a procedure that commits", ["call DATABASE.ends()"], true],
        ["a commit that closes the connection", ["commit release"], true],
        ["a savepoint of before", ["savepoint mine", "rollback", "savepoint mine"], false],
        ["several in one query, with a commit among them", ["select 1; commit; select 2; begin"], true],
        ["several in one query, with autocommit", ["select 1; set autocommit = 1; select 2"], true],
      ])("that ends the transaction is detected: %s", async (_name, statements, keeps) => {
        const pool = openPool({ connectionLimit: 1, multipleStatements: true });
        const store = await borrow(pool);
        const outcome = store.transaction(async (tx, inside) => {
          await tx.query(note("before"));
          for (const statement of statements) {
            await tx.query(statement.replace("DATABASE", database)).catch(() => undefined);
          }
          await inside.append(placed("after"));
        });
        expect(await codeOf(outcome)).toBe("TRANSACTION_ENDED");
        expect(await idsOf(store)).toEqual([]);
        // What it committed itself is there; what came after is not.
        expect(await noted()).toEqual(keeps ? ["before"] : []);
        expect(await isInTransaction(pool)).toBe(false);
        expect(await rowsOf(pool, "select @@autocommit as it")).toEqual([{ it: 1 }]);
        expect(await codeOf(watcher.query(note("another")))).toBe("resolved");
        expect(await codeOf(store.transaction((_tx, inside) => inside.append(placed("next"))))).toBe("resolved");
        expect(await idsOf(store)).toEqual(["next"]);
      });

      test("that ends the transaction is detected although the work throws something else", async () => {
        const store = await open();
        for (const statement of ["commit", "commit and chain", `create table ${database}.more (n int)`]) {
          const thrown = await thrownBy(
            store.transaction(async (tx) => {
              await tx.query(statement);
              throw new Error("from the work");
            }),
          );
          expect(thrown).toMatchObject({ code: "TRANSACTION_ENDED", cause: { message: "from the work" } });
        }
      });

      test("that is prepared and ends the transaction is detected", async () => {
        const store = await open();
        const outcome = store.transaction(async (tx, inside) => {
          await tx.execute("commit");
          await inside.append(placed("1"));
        });
        expect(await codeOf(outcome)).toBe("TRANSACTION_ENDED");
        expect(await idsOf(store)).toEqual([]);
      });

      test("that makes a temporary table is part of the transaction", async () => {
        const store = await open();
        await store.transaction(async (tx, inside) => {
          await inside.append(placed("1"));
          await tx.query(`create temporary table ${database}.mine (n int)`);
          await tx.query(`insert into ${database}.mine values (1)`);
          await tx.query(`drop temporary table ${database}.mine`);
        });
        expect(await idsOf(store)).toEqual(["1"]);
      });

      test("is refused once the work has returned", async () => {
        const store = await open();
        const tx = await store.transaction(async (lent) => lent);
        expect(await codeOf(tx.query(note("late")))).toBe("TRANSACTION_ENDED");
        expect(await codeOf(tx.execute(note("late")))).toBe("TRANSACTION_ENDED");
        expect(await codeOf(store.within(tx).append(placed("late")))).toBe("TRANSACTION_ENDED");
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

      test("that nobody awaits and that ends the transaction is detected", async () => {
        const store = await open();
        for (const statement of ["commit", "rollback", "set autocommit = 1", `create table ${database}.more (n int)`]) {
          const outcome = store.transaction(async (tx, inside) => {
            await inside.append(placed("1"));
            void tx.query(statement);
          });
          expect(await codeOf(outcome)).toBe("TRANSACTION_ENDED");
        }
        expect(await codeOf(store.append(placed("next")))).toBe("resolved");
      });

      test("that was the victim of a deadlock and was swallowed leaves nothing behind", async () => {
        const pool = openPool({ connectionLimit: 1 });
        const store = await borrow(pool);
        for (const awaits of [true, false]) {
          const outcome = store.transaction(async (tx, inside) => {
            await inside.append(placed("1"));
            const failed = deadlock(tx, (error) => error).catch(() => undefined);
            if (!awaits) await reached;
            else {
              await failed;
              await tx.query(note("after")).catch(() => undefined);
              await inside.append(placed("2")).catch(() => undefined);
            }
          });
          expect(await codeOf(outcome)).toBe("TRANSACTION_ENDED");
          await over();
          expect(await idsOf(store)).toEqual([]);
          expect(await noted()).toEqual(["a", "b"]);
          expect(await isInTransaction(pool)).toBe(false);
        }
        expect(await codeOf(store.append(placed("next")))).toBe("resolved");
      });

      test("that waited for a lock for too long and was swallowed leaves the transaction whole", async () => {
        const store = await open({}, { waitMs: 3_000 });
        await watcher.query(note("locked"));
        await watcher.query("begin");
        await watcher.query(lock("locked"));
        const seen: string[] = [];
        await store.transaction(async (tx, inside) => {
          await inside.append(placed("1"));
          await tx.query(note("1"));
          await tx.query(lock("locked")).catch((error: Error) => seen.push(error.message));
          await tx.query(note("2"));
        });
        await watcher.query("commit");
        expect(seen).toEqual([expect.stringMatching(/Lock wait timeout/)]);
        expect(await idsOf(store)).toEqual(["1"]);
        expect(await noted()).toEqual(["1", "2", "locked"]);
      });

      /** The next statement on tx is the victim: the other transaction has written more. */
      let reached: Promise<void>;
      let over: () => Promise<unknown>;
      async function deadlock(tx: Pick<Connection, "query">, wrap: (error: unknown) => unknown): Promise<void> {
        const { promise, resolve } = latch();
        reached = promise;
        const other = await connect();
        over = () => other.query("rollback").then(() => other.end());
        await watcher.query(`insert ignore into ${notes} values ('a'), ('b')`);
        await other.query("begin");
        await other.query(`insert into ${notes} select concat('n', table_name, ordinal_position)
          from information_schema.columns where table_schema = 'mysql' limit 100`);
        await other.query(lock("b"));
        await tx.query(lock("a"));
        const blocked = other.query(lock("a"));
        blocked.catch(() => undefined);
        await until(isWaiting);
        const failing = tx.query(lock("b"));
        resolve();
        await failing.catch((error: unknown) => {
          throw wrap(error);
        });
      }

      test("that was the victim of a deadlock makes what the work throws transient, wrapped or not", async () => {
        const store = await open();
        for (const wrap of [(error: unknown) => error, (cause: unknown) => new Error("Failed query", { cause })]) {
          const thrown = await thrownBy(store.transaction((tx) => deadlock(tx, wrap)));
          await over();
          expect(thrown).toMatchObject({ code: "CONTENTION" });
          expect(isTransient(thrown)).toBe(true);
        }
      });
    });

    /** Whether a statement waits for a lock on a note. */
    const isWaiting = async (): Promise<boolean> =>
      (await rowsOf(watcher, "show full processlist")).some(({ Info }) =>
        new RegExp(`${notes}.*for update`).test(String(Info)),
      );

    describe("a session that the borrower sets otherwise", () => {
      const settings = [
        "use mysql",
        "set session sql_mode = ''",
        "set session sql_mode = 'NO_BACKSLASH_ESCAPES'",
        "set session sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,STRICT_ALL_TABLES'",
        "set session transaction isolation level serializable",
        "set session transaction isolation level read uncommitted",
        "set session transaction read only",
        "set names latin1",
        "set character set latin1",
        "set session collation_connection = 'utf8mb4_bin'",
        "set session sql_select_limit = 1",
        "set session sql_safe_updates = 1",
        "set session wait_timeout = 5",
        "set session innodb_lock_wait_timeout = 7",
        "set session time_zone = '+05:00'",
        "set session foreign_key_checks = 0",
        "set session unique_checks = 0",
        "set session auto_increment_increment = 7",
        "set session lock_wait_timeout = 7",
      ];
      /** As it is inside of a lent transaction. */
      const sessionOf = async (tx: Pick<Connection, "query">): Promise<unknown> => [
        (await rowsOf(tx, "show session variables")).filter(
          ({ Variable_name: name }) =>
            !/timestamp|insert_id|rand_seed|gtid|statement_id|pseudo|last_/.test(String(name)),
        ),
        await rowsOf(tx, "select database() as name"),
      ];

      test.each(settings)("is as it was afterwards: %s", async (setting) => {
        for (const pool of [undefined, openPool({ connectionLimit: 1 })]) {
          const store = await (pool === undefined ? open({ connectionLimit: 1 }) : borrow(pool));
          const before = await store.transaction(sessionOf);
          const owners = pool === undefined ? undefined : await sessionOf(pool);
          for (const fails of [false, true]) {
            const outcome = store.transaction(async (tx) => {
              await tx.query(setting);
              if (fails) throw new Error("from the work");
            });
            expect(await codeOf(outcome)).toBe(fails ? "Error: from the work" : "resolved");
            if (pool !== undefined) expect(await sessionOf(pool)).toEqual(owners);
            expect(await store.transaction(sessionOf)).toEqual(before);
          }
          await works(store);
        }
      });

      test("goes on with its clock, which somebody has stopped", async () => {
        for (const pool of [undefined, openPool({ connectionLimit: 1 })]) {
          const store = await (pool === undefined ? open({ connectionLimit: 1 }) : borrow(pool));
          await store.transaction(async (tx) => void (await tx.query("set timestamp = 1000")));
          const [time] = await store.transaction((tx) => rowsOf(tx, "select unix_timestamp() as now"));
          expect(Number(time?.["now"])).toBeGreaterThan(1_000_000);
        }
      });

      test.each(["set timestamp = 1000", "set timestamp = 2000000000"])(
        "does not change the time that the store takes: %s",
        async (setting) => {
          for (const pool of [undefined, openPool({ connectionLimit: 1 })]) {
            const store = await (pool === undefined ? open({ connectionLimit: 1 }) : borrow(pool));
            const begun = Date.now();
            await store.consumers.declare("books", { kind: "projector" });
            const zone = await store.enterZone("books", { leaseMs: 60_000 });
            await zone?.commit(async ({ tx, append }) => {
              await tx.query(setting);
              append(placed("now"));
              return zone.position;
            });
            expect(await store.enterZone("books")).toBeUndefined();
            const { events } = await store.readAll();
            for (const { recordedAt } of events) {
              expect(Math.abs(recordedAt.getTime() - begun)).toBeLessThan(3_600_000);
            }
            expect(events).toHaveLength(pool === undefined ? 1 : 2);
            const [lease] = await rowsOf(
              watcher,
              `select expires_at as until from ${database}.tidemark_consumer_segment`,
            );
            expect(Math.abs(Number(lease?.["until"]) - begun)).toBeLessThan(3_600_000);
            await zone?.leave();
          }
        },
      );

      test.each([0, 1])("does not keep sagas from being found: sql_select_limit = %i", async (limit) => {
        const store = await open({ connectionLimit: 1 });
        const event = { type: "moved", data: { to: "x" } };
        await store.append({ aggregate: { type: "order", id: "1" }, events: [event, event] });
        for (const name of ["one", "other"]) {
          const begun = { associations: { [name]: "begun", to: "x" }, data: 0 as const };
          const beginner = defineSaga<MysqlTransaction, 0, Moves>({
            name,
            saga: "shared",
            start: "beginning",
            handlers: {
              moved: {
                association: { property: name, value: () => "begun" },
                starts: true,
                handle: (_event, known) => known ?? begun,
              },
            },
          });
          await consume(store, beginner);
        }
        let handled = 0;
        const both = defineSaga<MysqlTransaction, 0, Moves>({
          name: "both",
          saga: "shared",
          start: "beginning",
          handlers: {
            moved: {
              association: { property: "to", value: ({ data }) => data.to },
              handle: async (_event, known, { tx }) => {
                handled += 1;
                await tx.query(`set session sql_select_limit = ${limit}`);
                return known;
              },
            },
          },
        });
        expect(await consume(store, both)).toMatchObject({ kind: "caught-up" });
        expect(handled).toBe(4);
      });

      test.each(settings)("does not make the store write something else: %s", async (setting) => {
        const store = await open({ connectionLimit: 1 });
        const code = await codeOf(
          store.transaction(async (tx, inside) => {
            await tx.query(setting);
            for (const id of ["it's \\ é", "other"]) {
              await inside.append({
                aggregate: { type: "order", id },
                events: [1, 2, 3].map(() => ({ type: "placed", data: DATA })),
              });
            }
            expect(await allOf(inside.readAggregate({ type: "order", id: "it's \\ é" }))).toHaveLength(3);
          }),
        );
        expect(["resolved", "UNUSABLE"]).toContain(code);
        const { events } = await store.readAll();
        expect(events.map(({ aggregate, version, data }) => [aggregate.id, version, data])).toEqual(
          code === "UNUSABLE"
            ? []
            : ["it's \\ é", "other"].flatMap((id) => [1, 2, 3].map((version) => [id, version, DATA])),
        );
        await works(store);
      });

      /** Whatever the store does on its connections. */
      async function works(store: Awaited<ReturnType<typeof open>>): Promise<void> {
        const aggregate = { type: "order", id: "works \\ é" };
        const before = (await allOf(store.readAggregate(aggregate))).length;
        const events = [1, 2].map(() => ({ type: "placed", data: DATA }));
        const first = await store.transaction((_tx, inside) => inside.append({ aggregate, events }));
        expect((first.positions[1] ?? 0n) - (first.positions[0] ?? 0n)).toBe(1n);
        await store.append({ aggregate, events });
        const stored = await allOf(store.readAggregate(aggregate));
        expect(stored.slice(before).map(({ data }) => data)).toEqual([DATA, DATA, DATA, DATA]);
        await store.consumers.declare("é", { kind: "projector" });
        const zone = await store.enterZone("é");
        expect(zone).toBeDefined();
        await zone?.leave();
      }
    });

    describe("what the work throws", () => {
      test("is told apart from what happens to the connection", async () => {
        const store = await open();
        for (const thrown of [
          Object.assign(new Error("no such file"), { code: "ENOENT", syscall: "open" }),
          Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" }),
        ]) {
          const outcome = store.transaction(async () => {
            throw thrown;
          });
          expect(await thrownBy(outcome)).toBe(thrown);
        }
      });

      test("is itself where the server has said what its statement did wrong", async () => {
        const store = await open();
        const thrown = await thrownBy(
          store.transaction(async (tx) => {
            await tx.query(note("1"));
            await tx.query(note("1"));
          }),
        );
        expect(thrown).toMatchObject({ errno: 1062, sqlState: "23000" });
        expect(await noted()).toEqual([]);
      });

      test("is transient where the connection was lost, wrapped or not", async () => {
        const store = await open();
        for (const wrap of [(error: unknown) => error, (cause: unknown) => new Error("Failed query", { cause })]) {
          const thrown = await thrownBy(
            store.transaction(async (tx) => {
              await tx.query(note("1"));
              await tx.query("kill connection_id()").catch(() => undefined);
              await tx.query("select 1").catch((error: unknown) => {
                throw wrap(error);
              });
            }),
          );
          expect(thrown).toMatchObject({ code: "UNAVAILABLE" });
          expect(isTransient(thrown)).toBe(true);
        }
        expect(await noted()).toEqual([]);
      });

      test("is not told where the connection is lost while the work does something else", async () => {
        const store = await open();
        const thrown = await thrownBy(
          store.transaction(async (tx) => {
            await tx.query(note("1"));
            await terminate(watcher);
          }),
        );
        expect(thrown).toMatchObject({ code: "UNAVAILABLE" });
        expect(await noted()).toEqual([]);
      });
    });

    describe("a signal that fires while a statement of the work runs", () => {
      const settles = async (pool: Pool): Promise<void> => {
        await until(() => {
          const { all, free, waiting } = countsOf(pool);
          return all === free && waiting === 0;
        });
        await until(async () => (await threads(watcher)).every(({ command }) => command === "Sleep"));
      };

      test.each([1, 4])("ends the statement and the transaction, in a pool of %i", async (connectionLimit) => {
        const pool = openPool({ connectionLimit });
        const store = await borrow(pool);
        const abort = new AbortController();
        const said = latch();
        const outcome = store.transaction(
          async (tx, inside) => {
            await inside.append(placed("1"));
            await tx.query(note("1"));
            await tx.query("select sleep(600)").finally(said.resolve);
          },
          { signal: abort.signal },
        );
        await until(async () => (await threads(watcher)).some(({ info }) => info.includes("sleep(600)")));
        abort.abort();
        expect(await codeOf(outcome)).toBe("ABORTED");
        expect(await idsOf(store)).toEqual([]);
        await until(async () => (await store.frontierHolders()).length === 0);
        await settles(pool);
        // The work itself comes to an end.
        await said.promise;
        expect(await codeOf(watcher.query(note("1")))).toBe("resolved");
        expect(await codeOf(store.transaction((_tx, inside) => inside.append(placed("1"))))).toBe("resolved");
      });

      test("ends a statement that waits for a lock", async () => {
        const pool = openPool({ connectionLimit: 1 });
        const store = await borrow(pool);
        await watcher.query(note("locked"));
        await watcher.query("begin");
        await watcher.query(lock("locked"));
        const abort = new AbortController();
        const outcome = store.transaction(
          async (tx) => {
            await tx.query(note("1"));
            await tx.query(lock("locked"));
          },
          { signal: abort.signal },
        );
        await until(async () => (await threads(watcher)).some(({ info }) => info.includes("for update")));
        abort.abort();
        expect(await codeOf(outcome)).toBe("ABORTED");
        await settles(pool);
        expect(await codeOf(watcher.query(note("1")))).toBe("resolved");
        await watcher.query("commit");
        expect(await codeOf(store.append(placed("next")))).toBe("resolved");
      });

      test("ends it a little later when the server lets nobody in at first", async () => {
        const line = await createProxy(url);
        cleanups.push(() => line.close());
        const pool = openPool({ uri: line.url, connectionLimit: 1 });
        const store = await borrow(pool);
        await watcher.query(note("locked"));
        await watcher.query("begin");
        await watcher.query(lock("locked"));
        const abort = new AbortController();
        const outcome = store.transaction((tx) => tx.query(lock("locked")), { signal: abort.signal });
        const waits = async (): Promise<boolean> =>
          (await threads(watcher)).some(({ info }) => info.includes("for update"));
        await until(waits);
        line.redirect("mysql://127.0.0.1:1");
        abort.abort();
        expect(await codeOf(outcome)).toBe("ABORTED");
        line.redirect(url);
        await until(async () => !(await waits()));
        await watcher.query("commit");
        expect(await codeOf(store.append(placed("next")))).toBe("resolved");
      });

      test("ends an append of the store's that waits for a lock", async () => {
        const pool = openPool({ connectionLimit: 1 });
        const store = await borrow(pool);
        const other = await borrow(openPool({ connectionLimit: 1 }));
        await store.append(placed("1"));
        const { promise: isHeld, resolve: holds } = latch();
        const { promise: end, resolve: finish } = latch();
        cleanups.push(finish);
        const holding = other.transaction(async (_tx, inside) => {
          await inside.append(placed("1"));
          holds();
          await end;
        });
        await isHeld;
        const abort = new AbortController();
        const outcome = codeOf(
          store.transaction((_tx, inside) => inside.append(placed("1")), { signal: abort.signal }),
        );
        await until(async () => (await threads(watcher)).some(({ info }) => info.includes("for update")));
        abort.abort();
        expect(await outcome).toBe("ABORTED");
        await settles(pool);
        finish();
        await holding;
        expect(await idsOf(store)).toEqual(["1", "1"]);
      });

      test("rolls back at once while the work does something else", async () => {
        const pool = openPool({ connectionLimit: 1 });
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
        await until(async () => (await store.frontierHolders()).length === 0);
        finish();
        await until(() => late.length === 1);
        expect(late).toEqual(["TRANSACTION_ENDED"]);
        expect(countsOf(pool).all).toBe(1);
        expect(await noted()).toEqual([]);
      });
    });
  });
}

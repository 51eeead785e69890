import { randomInt } from "node:crypto";
import { createMysqlStore, type MysqlStore } from "@tidemark/adapter-mysql";
import { type AppendRequest, START } from "@tidemark/core";
import { createDatabase, explain, findServer } from "@tidemark/test-servers";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import type { Connection } from "mysql2/promise";
import { afterAll, describe, expect, test } from "vitest";
import {
  borrow,
  cleanups,
  closing,
  codeOf,
  connect,
  database,
  FLAVOURS,
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
import { follow, range } from "./follow.ts";

for (const flavour of FLAVOURS) {
  describeWithServer(flavour, (server) => {
    useDatabase(server);

    describe("a registration", () => {
      test("of batches is one row for each session, whose generation tells them apart", async () => {
        const store = await open();
        for (const n of range(5)) await store.append(placed(`${n}`));
        const rows = await registrations();
        expect(rows.length).toBeLessThanOrEqual(8);
        expect(rows.reduce((sum, { generation }) => sum + generation, 0)).toBe(5);
        expect(rows.every(({ id, session }) => id === String(session))).toBe(true);
        expect(Math.max(...rows.map(({ low }) => low))).toBe(4);
      });

      test("of a transaction that is lent is one row, which keeps the position from before its first append", async () => {
        const store = await open();
        await store.append(placed("before"));
        const batches = (await registrations()).map(({ id }) => id);
        await store.transaction(async (_tx, inside) => {
          for (const n of range(3)) {
            await inside.append(placed(`lent-${n}`));
            await beside(() => store.append(placed(`beside-${n}`)));
            const rows = (await registrations()).filter(({ id, session }) => id !== String(session));
            expect(rows).toMatchObject([{ generation: 1, low: 1 }]);
          }
        });
        expect(batches).toHaveLength(1);
        expect(await follow(store).poll()).toHaveLength(7);
      });

      test("of a caller is one row for each append, of which the first holds readers", async () => {
        const [store, client] = [await open(), await connect()];
        const reader = follow(store);
        await client.beginTransaction();
        for (const n of range(3)) {
          await beside(() => store.within(client).append(placed(`own-${n}`)));
          await store.append(placed(`beside-${n}`));
        }
        const own = (await registrations()).filter(({ session }) => session === client.threadId);
        expect(own.map(({ low }) => low).toSorted((a, b) => a - b)).toEqual([0, 2, 4]);
        expect(await reader.poll()).toEqual([]);
        expect((await store.frontierHolders()).map(({ position }) => position)).toEqual([0n, 2n, 4n]);
        await client.commit();
        expect(await reader.poll()).toHaveLength(6);
        expect(await store.frontierHolders()).toEqual([]);
      });

      test("of a transaction that is rolled back, or whose connection is gone, holds nobody", async () => {
        const [store, client, other] = [await open(), await connect(), await connect()];
        for (const one of [client, other]) {
          await one.beginTransaction();
          await beside(() => store.within(one).append(placed(`of ${one === client}`)));
        }
        await store.append(placed("kept"));
        expect(await follow(store).poll()).toEqual([]);
        await client.rollback();
        other.destroy();
        await until(async () => (await store.frontierHolders()).length === 0);
        expect(await follow(store).poll()).toEqual(["kept@1"]);
      });

      test("that comes late takes neither readers nor the head back", async () => {
        const [store, client] = [await open(), await connect()];
        const reader = follow(store);
        for (const id of ["a", "b"]) await store.append(placed(id));
        await reader.poll();
        const head = await store.head();
        expect(head).toBe(2n);
        // As if it had read the mark before everything, and came to write it only now.
        await client.beginTransaction();
        await client.query(registering(0));
        expect(await store.readAll({ after: head })).toMatchObject({ events: [], next: head });
        expect(await store.head()).toBe(head);
        await store.append(placed("c"));
        expect(await reader.poll()).toEqual([]);
        expect(await store.head()).toBe(head);
        await client.commit();
        expect(await reader.poll()).toEqual(["c@1"]);
        await client.query(`truncate table ${of("event")}`);
        expect(await store.head()).toBe(START);
      });
    });

    describe("a savepoint", () => {
      test("that is rolled back takes the registration with it, and a later append registers again", async () => {
        const [store, client] = [await open(), await committed()];
        const reader = follow(store);
        await client.beginTransaction();
        await client.query("savepoint one");
        await beside(() => store.within(client).append(placed("undone")));
        expect(await store.frontierHolders()).toHaveLength(1);
        await client.query("rollback to savepoint one");
        expect(await store.frontierHolders()).toEqual([]);
        await store.append(placed("between"));
        expect(await reader.poll()).toEqual(["between@1"]);

        await beside(() => store.within(client).append(placed("kept")));
        expect(await store.frontierHolders()).toMatchObject([{ position: 2n }]);
        await store.append(placed("after"));
        expect(await reader.poll()).toEqual([]);
        await client.commit();
        expect(await reader.poll()).toEqual(["kept@1", "after@1"]);
      });

      test("of a transaction that is lent does the same", async () => {
        const store = await open();
        const reader = follow(store);
        await store.transaction(async (tx, inside) => {
          await tx.query("savepoint one");
          await inside.append(placed("undone"));
          await tx.query("rollback to savepoint one");
          await beside(async () => {
            expect(await store.frontierHolders()).toEqual([]);
            await store.append(placed("between"));
            expect(await reader.poll()).toEqual(["between@1"]);
          });
          await inside.append(placed("kept"));
          await tx.query("savepoint two");
          await inside.append(placed("undone as well"));
          await tx.query("rollback to savepoint two");
          await beside(async () => {
            expect(await store.frontierHolders()).toMatchObject([{ position: 2n }]);
            await store.append(placed("after"));
            expect(await reader.poll()).toEqual([]);
          });
        });
        expect(await reader.poll()).toEqual(["kept@1", "after@1"]);
      });

      test("that is released leaves the registration, and so does one that others are rolled back in", async () => {
        const [store, client] = [await open(), await committed()];
        const reader = follow(store);
        await client.beginTransaction();
        for (const name of ["outer_one", "inner_one"]) await client.query(`savepoint ${name}`);
        await beside(() => store.within(client).append(placed("kept")));
        await client.query("release savepoint inner_one");
        await client.query("savepoint undone");
        await beside(() => store.within(client).append(placed("undone")));
        await client.query("rollback to savepoint undone");
        await client.query("release savepoint outer_one");
        await store.append(placed("after"));
        expect(await reader.poll()).toEqual([]);
        expect(await store.frontierHolders()).toMatchObject([{ position: 0n }]);
        await client.commit();
        expect(await reader.poll()).toEqual(["kept@1", "after@1"]);
      });

      test.each(["lent", "caller's"])(
        "that a %s transaction rolls back beside an append hides no event",
        async (whose) => {
          const store = await open();
          const reader = follow(store);
          const client = await committed();
          const seldom: string[] = [];
          for (const n of range(60)) {
            const work = async (tx: Pick<Connection, "query">, inside: Pick<MysqlStore, "append">): Promise<void> => {
              await tx.query("savepoint one");
              const appending = inside.append(placed(`slow-${n}`));
              appending.catch(() => undefined);
              await new Promise((resolve) => setTimeout(resolve, n % 5));
              for (const _ of range(n % 7)) await new Promise((resolve) => setImmediate(resolve));
              await tx.query("rollback to savepoint one");
              await appending;
              await beside(() => store.append(placed(`quick-${n}`)));
              await beside(() => reader.poll());
            };
            if (whose === "lent") seldom.push(await codeOf(store.transaction(work)));
            else {
              await client.beginTransaction();
              const code = await codeOf(work(client, store.within(client)));
              seldom.push(code);
              await (code === "resolved" ? client.commit() : client.rollback());
            }
          }
          await reader.poll();
          expect(reader.seen).toEqual(await follow(store).poll());
          expect([...new Set(seldom)].filter((code) => code !== "resolved" && code !== "CONTENTION")).toEqual([]);
        },
      );

      // MySQL keeps the end of the log locked then, whichever isolation but READ COMMITTED.
      test("that is rolled back in REPEATABLE READ may make others wait, and hides nothing from readers", async () => {
        const [store, client] = [await open(), await connect()];
        const reader = follow(store);
        await client.query("set session transaction isolation level repeatable read");
        await client.beginTransaction();
        await beside(() => store.within(client).append(placed("kept")));
        await client.query("savepoint one");
        await beside(() => store.within(client).append(placed("undone")));
        await client.query("rollback to savepoint one");
        const appending = store.append(placed("after"));
        await Promise.race([appending, new Promise((resolve) => setTimeout(resolve, 200))]);
        expect(await reader.poll()).toEqual([]);
        await client.commit();
        await appending;
        expect(await reader.poll()).toEqual(["kept@1", "after@1"]);
      });
    });

    describe("no append is ever shown in part", () => {
      test(
        "while several write at once, in batches, lent transactions and callers'",
        { timeout: 120_000 },
        async () => {
          const [store, other] = [await open(), await open()];
          const clients = [await connect(), await connect()];
          let isOver = false;
          const parts = [open({}, {}), open({ connectionLimit: 2 }, {})].map(async (opening) => {
            const reading = await opening;
            let after = START;
            const torn: string[] = [];
            for (let rest = 2; rest > 0; rest = isOver ? rest - 1 : rest) {
              const { events, next } = await reading.readAll({ after, limit: 10_000 });
              const counts = new Map<string, number>();
              for (const { aggregate } of events) counts.set(aggregate.id, (counts.get(aggregate.id) ?? 0) + 1);
              torn.push(...[...counts].filter(([, count]) => count !== 7).map(([id]) => id));
              after = next;
            }
            return torn;
          });
          const writing = [
            ...range(4).map((lane) => async (n: number) => {
              await (lane % 2 === 0 ? store : other).append(seven(`batch-${lane}-${n}`));
            }),
            ...range(2).map((lane) => async (n: number) => {
              await store.transaction((_tx, inside) => inside.append(seven(`lent-${lane}-${n}`)));
            }),
            ...clients.map((client, lane) => async (n: number) => {
              await client.beginTransaction();
              await store.within(client).append(seven(`own-${lane}-${n}`));
              await (n % 3 === 0 ? client.rollback() : client.commit());
            }),
          ];
          await Promise.all(
            writing.map(async (write) => {
              for (const n of range(40)) await write(n);
            }),
          );
          isOver = true;
          expect(await Promise.all(parts)).toEqual([[], []]);
        },
      );

      test("where a statement has no room for its text, which follows", { timeout: 120_000 }, async () => {
        const [store, client] = [await open(), await connect()];
        const reader = follow(store);
        // Longer than a packet of the protocol.
        const long = (id: string): AppendRequest => ({
          aggregate: { type: "order", id },
          events: range(18).map((n) => ({ type: "placed", data: { n, text: "x".repeat(1_000_000) } })),
        });
        await client.beginTransaction();
        await beside(() => store.within(client).append(long("own")));
        await store.append(placed("beside"));
        expect(await reader.poll()).toEqual([]);
        await client.commit();
        const seen: number[] = [];
        let isOver = false;
        const watching = (async () => {
          for (let rest = 2; rest > 0; rest = isOver ? rest - 1 : rest) seen.push((await reader.poll()).length);
        })();
        const { positions } = await store.append(long("batch"));
        isOver = true;
        await watching;
        expect(positions.map((position) => position - (positions[0] ?? START))).toEqual(
          range(18).map((n) => BigInt(n - 1)),
        );
        expect(seen.every((count) => [0, 18, 19, 37].includes(count))).toBe(true);
        expect(seen.reduce((sum, count) => sum + count, 0)).toBe(37);
        const lengths: number[] = [];
        for await (const { data } of store.readAggregate({ type: "order", id: "own" })) {
          lengths.push(JSON.stringify(data).length);
        }
        expect(new Set(lengths).size).toBeLessThanOrEqual(2);
        expect(lengths).toHaveLength(18);
      });
    });

    describe("registrations that have ended", () => {
      test("are removed by readers, and none that has not", async () => {
        const [store, client, done] = [await open(), await connect(), await connect()];
        await client.beginTransaction();
        await beside(() => store.within(client).append(placed("open")));
        await done.beginTransaction();
        for (const n of range(150)) await store.within(done).append(placed(`${n}`));
        await done.commit();
        expect(await registrations()).toHaveLength(151);
        // It does not wait for the one that is open.
        await until(async () => {
          expect((await store.readAll()).events).toEqual([]);
          return (await registrations()).length === 1;
        });
        expect(await store.frontierHolders()).toMatchObject([{ position: 0n, session: String(client.threadId) }]);
        await client.commit();
        expect(await follow(store).poll()).toHaveLength(151);
      });

      test("may be removed while readers look, and while sessions register again", async () => {
        const [store, client, remover] = [await open(), await connect(), await connect()];
        const reader = follow(store);
        for (const n of range(3)) await store.append(placed(`${n}`));
        await reader.poll();
        const before = await registrations();
        await client.beginTransaction();
        await beside(() => store.within(client).append(placed("open")));
        await remover.beginTransaction();
        for (const { id } of before) await remover.query(`delete from ${of("registration")} where id = ${id}`);
        // Somebody who looks now finds the open one only; a session whose row it is waits until the removal is over.
        const appending = store.append(placed("again"));
        expect(await reader.poll()).toEqual([]);
        expect(await store.frontierHolders()).toMatchObject([{ session: String(client.threadId) }]);
        await remover.commit();
        await appending;
        expect(await reader.poll()).toEqual([]);
        await client.commit();
        expect((await reader.poll()).toSorted()).toEqual(["again@1", "open@1"]);
        // And one that is taken back leaves everything as it was.
        await remover.beginTransaction();
        await remover.query(`delete from ${of("registration")}`);
        const another = store.append(placed("another"));
        expect(await reader.poll()).toEqual([]);
        await remover.rollback();
        await another;
        expect(await reader.poll()).toEqual(["another@1"]);
      });

      test("in any number do not keep an open one from being seen", { timeout: 120_000 }, async () => {
        const [store, client] = [await open(), await connect()];
        await store.append(placed("first"));
        await fillRegistrations(await connect(), 25_000);
        await client.beginTransaction();
        await beside(() => store.within(client).append(placed("open")));
        await store.append(placed("after"));
        expect((await store.readAll({ after: toPositionOf(1) })).events).toEqual([]);
        await until(async () => {
          expect((await store.readAll({ after: toPositionOf(1) })).events).toEqual([]);
          return (await registrations()).length < 100;
        });
        await client.commit();
        expect((await store.readAll({ after: toPositionOf(1) })).events).toHaveLength(2);
      });
    });

    test("ten thousand appends of one transaction hold readers until it ends", { timeout: 180_000 }, async () => {
      const [store, client] = [await open(), await connect()];
      const reader = follow(store);
      await client.beginTransaction();
      await beside(async () => {
        const inside = store.within(client);
        for (const n of range(900)) await inside.appendAll(range(10).map((id) => placed(`${n}-${id}`)));
        for (const n of range(1_000)) await inside.append(placed(`single-${n}`));
      });
      await store.append(placed("after"));
      expect(await reader.poll()).toEqual([]);
      expect(await store.frontierHolders()).toHaveLength(1_900);
      await client.commit();
      expect(await reader.poll()).toHaveLength(10_001);
      await store.transaction(async (_tx, inside) => {
        for (const n of range(100)) await inside.appendAll(range(100).map((id) => placed(`lent-${n}-${id}`)));
        await beside(async () => expect(await store.frontierHolders()).toHaveLength(1));
      });
      expect(await reader.poll()).toHaveLength(10_000);
    });

    describe("a prepared transaction", () => {
      test.each(["commit", "rollback"])("holds readers back, and is named, until its %s", async (how) => {
        const [store, client] = [await open(), await connect()];
        const reader = follow(store);
        const session = String(client.threadId);
        await client.query(`xa start '${database}'`);
        await beside(() => store.within(client).append(placed("prepared")));
        await client.query(`xa end '${database}'`);
        await client.query(`xa prepare '${database}'`);
        await client.end();
        try {
          await store.append(placed("after"));
          expect(await reader.poll()).toEqual([]);
          expect(await store.frontierHolders()).toMatchObject([{ position: 0n, session }]);
        } finally {
          const operator = await connect();
          await until(() =>
            operator.query(`xa ${how} '${database}'`).then(
              () => true,
              () => false,
            ),
          );
        }
        expect(await reader.poll()).toEqual(how === "commit" ? ["prepared@1", "after@1"] : ["after@1"]);
        expect(await store.frontierHolders()).toEqual([]);
      });
    });

    test("transactions that only read, or write elsewhere, hold nobody", async () => {
      const store = await open();
      const reader = follow(store);
      const [watching, elsewhere, locking] = [await connect(url), await connect(url), await connect(url)];
      await elsewhere.query("create table notes (text varchar(100) primary key)");
      await watching.query("set session transaction isolation level repeatable read");
      await watching.query("start transaction with consistent snapshot");
      await watching.query(`select * from ${of("event")}`);
      await elsewhere.query("set session transaction isolation level serializable");
      await elsewhere.beginTransaction();
      await elsewhere.query("insert into notes values ('1')");
      await locking.query("set session transaction isolation level read committed");
      await locking.beginTransaction();
      await locking.query(`select * from ${of("event")} lock in share mode`);
      for (const n of range(3)) {
        await store.append(placed(`${n}`));
        expect(await reader.poll()).toEqual([`${n}@1`]);
      }
      expect(await store.frontierHolders()).toEqual([]);
    });

    test("who holds readers back is told, with the session and since when", async () => {
      const [store, client] = [await open(), await connect()];
      await client.beginTransaction();
      await client.query(`set time_zone = '-07:00'`);
      const before = Date.now();
      await beside(() => store.within(client).append(placed("own")));
      await store.transaction(async (tx, inside) => {
        await inside.append(placed("lent"));
        const [{ id } = { id: undefined }] = await rowsOf(tx, "select connection_id() as id");
        const holders = await beside(() => store.frontierHolders());
        expect(holders.map(({ session }) => session)).toEqual([String(client.threadId), String(id)]);
        for (const { since, position } of holders) {
          expect(position).toBe(0n);
          // The server's clock, which is this machine's.
          expect(Math.abs((since?.getTime() ?? 0) - before)).toBeLessThan(60_000);
        }
      });
      // As an operator does who is told.
      await terminate(await connect(), [Number((await store.frontierHolders())[0]?.session)]);
      await until(async () => (await store.frontierHolders()).length === 0);
      expect(await follow(store).poll()).toEqual(["lent@1"]);
    });

    describe("a session that counts in steps", () => {
      test("is refused, on a pool that is lent and as a caller's", async () => {
        const store = await open();
        const pool = openPool();
        pool.on("connection", (client) => void client.query("set session auto_increment_increment = 2"));
        const refused = await thrownBy(borrow(pool));
        expect(refused).toMatchObject({ code: "UNUSABLE" });
        expect(String(refused)).toContain("auto_increment_increment");
        const client = await connect();
        await client.query("set session auto_increment_increment = 2");
        await client.beginTransaction();
        expect(await thrownBy(beside(() => store.within(client).append(placed("refused"))))).toMatchObject({
          code: "UNUSABLE",
        });
        await client.rollback();
        expect((await store.readAll()).events).toEqual([]);
      });
    });

    describe("a session that begins to count in steps later", () => {
      const two = { aggregate: { type: "order", id: "2" }, events: [1, 2].map((data) => ({ type: "placed", data })) };
      const steps = "set session auto_increment_increment = 7";

      test("is refused from then on, as a caller's", async () => {
        const store = await open();
        const client = await connect();
        await client.beginTransaction();
        await store.within(client).append(placed("1"));
        await client.query(steps);
        expect(await codeOf(store.within(client).append(two))).toBe("UNUSABLE");
        await client.query("set session auto_increment_increment = 1");
        expect((await store.within(client).append(two)).positions).toHaveLength(2);
        await client.commit();
        expect(await follow(store).poll()).toEqual(["1@1", "2@1", "2@2"]);
      });

      test("is refused in a transaction that is lent", async () => {
        const store = await open();
        await store.transaction(async (tx, inside) => {
          await tx.query(steps);
          expect(await codeOf(inside.append(two))).toBe("UNUSABLE");
          await tx.query("set session auto_increment_increment = 1");
          await inside.append(two);
        });
        expect(await follow(store).poll()).toEqual(["2@1", "2@2"]);
      });
    });

    describe("two stores", () => {
      test.each(["prefixes", "databases"])("with different %s do not hold each other's readers back", async (what) => {
        const [one, other] = [await open(), what === "prefixes" ? await open({}, { prefix: "b_" }) : await elsewhere()];
        const client = await committed();
        const readers = [follow(one), follow(other)];
        await client.beginTransaction();
        await beside(() => one.within(client).append(placed("first")));
        await other.append(placed("other"));
        expect(await readers[1]?.poll()).toEqual(["other@1"]);
        expect(await other.frontierHolders()).toEqual([]);
        expect(await one.frontierHolders()).toHaveLength(1);

        // In one transaction each registers by itself.
        await client.query("savepoint one");
        await beside(() => other.within(client).append(placed("undone")));
        await client.query("rollback to savepoint one");
        for (const store of [one, other]) await store.append(placed("between"));
        expect(await Promise.all(readers.map((reader) => reader.poll()))).toEqual([[], ["between@1"]]);
        await beside(() => other.within(client).append(placed("second")));
        await other.append(placed("after"));
        expect(await Promise.all(readers.map((reader) => reader.poll()))).toEqual([[], []]);
        await client.commit();
        expect(await Promise.all(readers.map((reader) => reader.poll()))).toEqual([
          ["first@1", "between@1"],
          ["second@1", "after@1"],
        ]);
      });

      async function elsewhere(): Promise<MysqlStore> {
        const fresh = await createDatabase(server.url);
        cleanups.push(() => fresh.drop());
        return closing(await createMysqlStore({ connection: fresh.url }));
      }
    });

    describe.each(["read uncommitted", "repeatable read", "serializable"])(
      "in a caller's transaction that is %s",
      (level) => {
        async function begun(): Promise<Connection> {
          const client = await connect(url);
          await client.query(`set session transaction isolation level ${level}`);
          await client.beginTransaction();
          await client.query(`select count(*) from ${of("consumer")}`);
          return client;
        }

        test("an append registers, and others may be beside it", async () => {
          const store = await open();
          const reader = follow(store);
          const client = await begun();
          await store.append(placed("before"));
          await beside(() => store.within(client).append(placed("slow")));
          await store.append(placed("quick"));
          expect(await reader.poll()).toEqual(["before@1"]);
          await client.commit();
          expect(await reader.poll()).toEqual(["slow@1", "quick@1"]);
        });

        test("several may append to neighbours at once", async () => {
          const store = await open();
          const clients = await Promise.all(range(4).map(begun));
          for (const round of range(3)) {
            for (const [n, client] of clients.entries()) {
              await beside(() => store.within(client).append(placed(`${round}-${n}`)));
            }
            await store.append(placed(`batch-${round}`));
          }
          for (const client of clients) await client.commit();
          expect(await follow(store).poll()).toHaveLength(15);
        });

        test("an append to what was changed since it began is right, or fails so that it may be run again", async () => {
          const store = await open();
          await store.append(placed("known"));
          for (const id of ["known", "new"]) {
            const client = await begun();
            // In SERIALIZABLE, to read is to lock.
            if (level !== "serializable") await client.query(`select count(*) from ${of("aggregate")}`);
            await store.append(placed(id));
            const code = await codeOf(beside(() => store.within(client).append(placed(id))));
            expect(["resolved", "CONTENTION"]).toContain(code);
            await (code === "resolved" ? client.commit() : client.rollback());
            const versions: number[] = [];
            for await (const { version } of store.readAggregate({ type: "order", id })) versions.push(version);
            const count = (id === "known" ? 2 : 1) + (code === "resolved" ? 1 : 0);
            expect(versions).toEqual(range(count));
          }
          const positions = (await store.readAll()).events.map(({ position }) => position);
          expect(positions).toEqual(positions.toSorted((a, b) => (a < b ? -1 : 1)));
        });

        test("an event that somebody has appended since it began is not appended again", async () => {
          const store = await open();
          await store.append(placed("known"));
          const client = await begun();
          await client.query(`select count(*) from ${of("event")} where position = 0`);
          const again: AppendRequest = {
            aggregate: { type: "order", id: "known" },
            events: [{ id: "e1", type: "placed", data: {} }],
          };
          await store.append(again);
          const code = await codeOf(beside(() => store.within(client).append(again)));
          expect(["resolved", "CONTENTION"]).toContain(code);
          await (code === "resolved" ? client.commit() : client.rollback());
          expect(await follow(store).poll()).toEqual(["known@1", "known@2"]);
        });
      },
    );

    test(
      "rolled back, killed and slow transactions of every kind make no reader skip or repeat",
      { timeout: 180_000 },
      async () => {
        const stores = [await open(), await open(), await borrow(openPool())] as const;
        // Between taking a position and being there: the time in which a reader may pass.
        const admin = await connect(url);
        await admin.query(
          `create trigger slow before insert on ${of("event")} for each row do sleep(rand() * rand() * 0.01)`,
        );
        let isOver = false;
        const readers = [follow(stores[0]), follow(await open())];
        const reading = readers.map(async (reader) => {
          while (!isOver) await reader.poll();
        });
        const any = (): MysqlStore => stores[randomInt(stores.length)] ?? stores[0];
        const some = (): AppendRequest => ({
          aggregate: { type: "order", id: `${randomInt(30)}` },
          events: range(1 + randomInt(4)).map(() => ({ type: "placed", data: {} })),
        });
        const attempt = async (work: () => Promise<unknown>): Promise<void> => {
          await work().catch((error: unknown) => {
            if (!isExpected(error)) throw error;
          });
        };
        const writers: readonly (() => Promise<void>)[] = [
          ...range(3).map(() => () => attempt(() => any().append(some()))),
          ...range(2).map(
            () => () =>
              attempt(() =>
                any().transaction(async (tx, inside) => {
                  await inside.append(some());
                  await tx.query("savepoint s");
                  await inside.append(some());
                  if (randomInt(2) === 0) await tx.query("rollback to savepoint s");
                  await inside.append(some());
                  if (randomInt(3) === 0) throw new Error("undone");
                }),
              ),
          ),
          ...range(2).map((lane) => async () => {
            const client = await connect();
            const xid = `${database}-${lane}-${randomInt(1e9)}`;
            const ends = randomInt(4);
            await client.query(ends === 3 ? `xa start '${xid}'` : "start transaction");
            const inside = any().within(client);
            const fails = await thrownBy(inside.append(some()).then(() => inside.append(some())));
            if (fails !== "resolved" || ends === 0) client.destroy();
            else if (ends === 1) await client.commit();
            else if (ends === 2) await client.rollback();
            else {
              for (const step of ["end", "prepare", randomInt(2) === 0 ? "commit" : "rollback"]) {
                await client.query(`xa ${step} '${xid}'`);
              }
            }
            if (fails === "resolved" && ends > 0) await client.end();
          }),
        ];
        await Promise.all(
          writers.map(async (write) => {
            for (const _ of range(40)) await write();
          }),
        );
        isOver = true;
        await Promise.all(reading);
        await until(async () => (await stores[0].frontierHolders()).length === 0);
        const written = (
          await rowsOf(
            admin,
            `select convert(aggregate_id using utf8mb4) as id, version from ${of("event")} order by position`,
          )
        ).map(({ id, version }) => `${String(id)}@${String(version)}`);
        for (const reader of readers) {
          await reader.poll();
          expect(reader.seen).toEqual(written);
        }
        expect(written.length).toBeGreaterThan(100);
      },
    );

    describe("with ordering by a counter", () => {
      const counter = { ordering: "counter" } as const;

      test("positions have no gaps, whoever appends and whatever is rolled back", async () => {
        const [store, client] = [await open({}, counter), await connect()];
        for (const n of range(3)) {
          await store.append(placed(`${n}`));
          await client.beginTransaction();
          await beside(() => store.within(client).append(placed("undone")));
          await client.rollback();
          await thrownBy(
            store.transaction(async (_tx, inside) => {
              await inside.append(placed("undone"));
              throw new Error("undone");
            }),
          );
        }
        await Promise.all(range(20).map((n) => store.append(placed(`more-${n}`))));
        const { events } = await store.readAll();
        expect(events.map(({ position }) => Number(position))).toEqual(range(23));
      });

      test("one transaction writes at a time, others wait, and readers do not", async () => {
        const [store, client] = [await open({}, counter), await connect()];
        const reader = follow(store);
        await client.beginTransaction();
        await beside(() => store.within(client).append(placed("first")));
        let isAppended = false;
        const appending = store.append(placed("second")).then(() => (isAppended = true));
        await until(async () => (await waiting()) > 0);
        expect(await reader.poll()).toEqual([]);
        expect(await store.frontierHolders()).toEqual([]);
        expect(isAppended).toBe(false);
        await client.commit();
        await appending;
        expect(await reader.poll()).toEqual(["first@1", "second@1"]);
        expect(await registrations()).toEqual([]);
      });

      test("an append waits no longer than it may for a transaction that is left open", async () => {
        const [store, client] = [await open({}, { ...counter, waitMs: 5_000 }), await connect()];
        await client.beginTransaction();
        await beside(() => store.within(client).append(placed("open")));
        expect(await codeOf(store.append(placed("other")))).toBe("BUSY");
        await client.rollback();
        await store.append(placed("other"));
      });

      test.each(["frontier", "counter"] as const)(
        "tables that were made with %s are refused to the other",
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

      /** How many statements of this test's wait for a lock on the counter. */
      async function waiting(): Promise<number> {
        const all = await threads(await connect());
        return all.filter(({ info }) => info.includes("tidemark_counter for update")).length;
      }
    });
  });

  describe(`on a ${flavour} of its own`, async () => {
    const answer = await findServer(flavour, { ways: ["container", "binaries"] });
    if (answer.kind === "missing") return test.skip(`not tested: ${explain(answer)}`, () => undefined);
    const { server } = answer;
    afterAll(() => server.stop());
    useDatabase(server);

    test("auto_increment_increment is refused by the default ordering, which names the other one", async () => {
      const admin = await connect();
      await admin.query("set global auto_increment_increment = 3");
      try {
        const refused = await thrownBy(open());
        expect(refused).toMatchObject({ code: "UNUSABLE" });
        expect(String(refused)).toContain('ordering: "counter"');
        const store = await open({}, { ordering: "counter" });
        await store.appendAll(range(5).map((n) => placed(`${n}`)));
        const { events } = await store.readAll();
        expect(events.map(({ position }) => Number(position))).toEqual(range(5));
      } finally {
        await admin.query("set global auto_increment_increment = default");
      }
    });

    test(
      "a list of registrations that is longer than the server makes one hides nobody",
      { timeout: 120_000 },
      async () => {
        const admin = await connect();
        await admin.query(`set global max_allowed_packet = ${1024 * 1024}`);
        try {
          const [store, client] = [await open(), await connect()];
          const reader = follow(store);
          await store.append(placed("first"));
          await reader.poll();
          await fillRegistrations(await connect(), 40_000);
          await client.beginTransaction();
          await beside(() => store.within(client).append(placed("open")));
          await store.append(placed("after"));
          expect(await reader.poll()).toEqual([]);
          await until(async () => {
            expect(await reader.poll()).toEqual([]);
            return (await registrations()).length < 10_000;
          });
          expect(await store.frontierHolders()).toMatchObject([{ session: String(client.threadId) }]);
          await client.commit();
          expect(await reader.poll()).toEqual(["open@1", "after@1"]);
        } finally {
          await admin.query("set global max_allowed_packet = default");
        }
      },
    );

    test("long appends are written in pieces where packets are small", { timeout: 120_000 }, async () => {
      const admin = await connect();
      await admin.query(`set global max_allowed_packet = ${1024 * 1024}`);
      try {
        for (const ordering of ["frontier", "counter"] as const) {
          const settings = { ordering, prefix: `${ordering}_` };
          const [store, client] = [await open({}, settings), await connect()];
          const reader = follow(store);
          const texts = ["x".repeat(500_000), "\\".repeat(400_000), "é😀'".repeat(60_000), "short"];
          const request = (id: string): AppendRequest => ({
            aggregate: { type: "order", id },
            events: texts.map((text) => ({ type: "placed", data: { text } })),
          });
          await store.append(request("batch"));
          await store.transaction((_tx, inside) => inside.append(request("lent")));
          await client.beginTransaction();
          await beside(() => store.within(client).append(request("own")));
          expect(await reader.poll()).toHaveLength(8);
          await client.commit();
          expect(await reader.poll()).toHaveLength(4);
          for (const id of ["batch", "lent", "own"]) {
            const found: unknown[] = [];
            for await (const { data } of store.readAggregate({ type: "order", id })) found.push(data);
            expect(found).toEqual(texts.map((text) => ({ text })));
          }
          await repeatsItsLast(store, settings.prefix, request);
          const tooLong = {
            aggregate: { type: "order", id: "no" },
            events: [{ type: "a", data: "x".repeat(1_100_000) }],
          };
          expect(await codeOf(store.append(tooLong))).toBe("UNUSABLE");
        }
      } finally {
        await admin.query("set global max_allowed_packet = default");
      }
    });
  });
}

/** Appends what takes several statements, of which only the last meets an event that is known: that is noticed before. */
async function repeatsItsLast(
  store: MysqlStore,
  prefix: string,
  request: (id: string) => AppendRequest,
): Promise<void> {
  const known = { id: "known", type: "placed", data: {} };
  const aggregate = { type: "order", id: "repeated" };
  const again: AppendRequest = { aggregate, events: [...request("repeated").events, known] };
  await store.append({ aggregate, events: [known] });
  const before = await store.head();
  await store.transaction(async (_tx, inside) => {
    expect(await codeOf(inside.append(again))).toBe("KNOWN_EVENT_IDS");
  });
  const client = await connect();
  await client.beginTransaction();
  await beside(async () => expect(await codeOf(store.within(client).append(again))).toBe("KNOWN_EVENT_IDS"));
  await client.commit();
  // In a batch, and by itself, because somebody has the aggregate locked.
  expect(await codeOf(store.append(again))).toBe("KNOWN_EVENT_IDS");
  await client.beginTransaction();
  await client.query(`select * from ${database}.${prefix}aggregate for update`);
  const waiting = codeOf(store.append(again));
  const watcher = await connect();
  await until(async () => (await threads(watcher)).some(({ info }) => /aggregate .* for update$/.test(info)));
  await client.rollback();
  expect(await waiting).toBe("KNOWN_EVENT_IDS");
  expect(await store.head()).toBe(before);
  await store.append({ aggregate, events: [{ type: "placed", data: {} }] });
}

/** A table of this test's store, in its database. */
function of(table: string): string {
  return `${database}.tidemark_${table}`;
}

/** A caller's connection in the isolation that the store uses itself. */
async function committed(): Promise<Connection> {
  const client = await connect();
  await client.query("set session transaction isolation level read committed");
  return client;
}

/** By itself, beside what else the test does: core marks the flow of control that is inside a transaction. */
async function beside<T>(work: () => Promise<T>): Promise<T> {
  await new Promise((resolve) => setTimeout(resolve));
  return work();
}

function seven(id: string): AppendRequest {
  return { aggregate: { type: "order", id }, events: range(7).map(() => ({ type: "placed", data: {} })) };
}

function registering(low: number): string {
  return `insert into ${of("registration")} values (uuid_short(), 1, ${low}, connection_id(), 0)`;
}

/** Committed, as many transactions leave them behind where nobody reads. */
async function fillRegistrations(client: Connection, count: number): Promise<void> {
  const low = "(select coalesce(max(position), 0) from (select * from " + of("event") + ") e)";
  for (let done = 0; done < count; done += 5_000) {
    const rows = range(5_000).map((n) => `(${done + n} + (1 << 40), 1, 0, 0, 1790000000000)`);
    await client.query(`insert into ${of("registration")} values ${rows.join(",")}`);
  }
  await client.query(`update ${of("registration")} set low = ${low} where low = 0 and session = 0`);
}

interface Registration {
  readonly id: string;
  readonly generation: number;
  readonly low: number;
  readonly session: number;
}

/** Committed or not. */
async function registrations(): Promise<readonly Registration[]> {
  const client = await connect();
  await client.query("set session transaction isolation level read uncommitted");
  const rows = await rowsOf(
    client,
    `select cast(id as char) as id, generation, low, session from ${of("registration")} order by since, low`,
  );
  await client.end();
  return rows.map((row) => row as unknown as Registration);
}

function toPositionOf(position: number): typeof START {
  return BigInt(position) as typeof START;
}

/** What becomes of transactions that are in each other's way. */
function isExpected(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.message === "undone" || ("code" in error && ["CONTENTION", "BUSY"].includes(String(error.code)));
}

import type { MysqlStore } from "@tidemark/adapter-mysql";
import type { AppendRequest } from "@tidemark/core";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import type { Connection, PoolConnection } from "mysql2/promise";
import { beforeEach, describe, expect, test } from "vitest";
import {
  borrow,
  codeOf,
  connect,
  database,
  FLAVOURS,
  idsOf,
  open,
  openPool,
  placed,
  rowsOf,
  type Settings,
  thrownBy,
  until,
  useDatabase,
} from "./fixture.ts";

/** What the tests' triggers refuse, or take their time for. */
const [REFUSED, SLOW] = ["refused", "slow"];

for (const flavour of FLAVOURS) {
  describeWithServer(flavour, (server) => {
    useDatabase(server);

    let watcher: Connection;
    let notes: string;
    beforeEach(async () => {
      watcher = await connect();
      notes = `${database}.notes`;
      await watcher.query(`create table ${notes} (text varchar(100) primary key)`);
    });

    /** Makes the server refuse a row of a table of the store's, where the condition holds. */
    async function refuse(when: "insert" | "update", table: "aggregate" | "event", condition: string): Promise<void> {
      await watcher.query(`create trigger ${database}.refuse_${when}_${table} before ${when} on ${of(table)} for each row
        begin if ${condition} then signal sqlstate '45000' set message_text = '${REFUSED}'; end if; end`);
    }

    /** Runs work in a transaction that the store lends, or in one that a caller has begun, and commits it. */
    const WAYS = { lent, "caller's": callers } as const;

    async function lent(store: MysqlStore, work: Work): Promise<void> {
      await store.transaction((tx, inside) => work(tx, inside));
    }

    async function callers(store: MysqlStore, work: Work): Promise<void> {
      const client = await connect();
      await client.query("set session transaction isolation level read committed");
      await client.beginTransaction();
      await beside(() => work(client, store.within(client)));
      await client.commit();
    }

    /** Versions are those of the last events, the counter is the last position, and all of them can be appended to at once. */
    async function isWhole(store: MysqlStore, ...ids: readonly string[]): Promise<void> {
      const heads = await rowsOf(
        watcher,
        `select convert(id using utf8mb4) as id, aggregate.version as head, coalesce(max(event.version), 0) as version,
          count(event.version) as events
        from ${of("aggregate")} aggregate left join ${of("event")} event
          on event.aggregate_id = aggregate.id and event.aggregate_type = aggregate.type
        group by aggregate.id, aggregate.version`,
      );
      expect(heads.filter(({ head, version, events }) => head !== version || events !== version)).toEqual([]);
      const texts = await rowsOf(watcher, `select count(*) as unfilled from ${of("event")} where data = ''`);
      expect(texts).toEqual([{ unfilled: 0 }]);
      await store.appendAll(ids.map(placed));
      await Promise.all(ids.map((id) => store.append(placed(id))));
      const stored = (await idsOf(store)).toSorted();
      expect(ids.filter((id) => stored.filter((other) => other === id).length < 2)).toEqual([]);
      expect(await store.frontierHolders()).toEqual([]);
    }

    describe.each(["lent", "caller's"] as const)(
      "of an append that fails in a %s transaction nothing is left",
      (whose) => {
        const inTransaction = WAYS[whose];

        test.each<Settings["ordering"]>(["frontier", "counter"])(
          "where the events are refused, with the %s",
          async (ordering) => {
            const store = await open({}, { ordering });
            await store.append(placed("known"));
            await refuse("insert", "event", `new.event_type = '${REFUSED}'`);
            await inTransaction(store, async (_tx, inside) => {
              for (const id of ["known", "new"]) {
                expect(await thrownBy(inside.append(refused(id)))).toMatchObject({ message: REFUSED });
              }
              await inside.append(placed("kept"));
            });
            expect(await idsOf(store)).toEqual(["known", "kept"]);
            await isWhole(store, "new", "known", "kept", "neighbour");
          },
        );

        test.each<Settings["ordering"]>(["frontier", "counter"])(
          "where versions are refused, with the %s",
          async (ordering) => {
            const store = await open({}, { ordering });
            await store.append(placed("known"));
            await refuse("update", "aggregate", "new.version > 1");
            await inTransaction(store, async (_tx, inside) => {
              const two = [placed("new"), { ...placed("known") }];
              expect(await thrownBy(inside.appendAll(two))).toMatchObject({ message: REFUSED });
              await inside.append(placed("kept"));
            });
            await watcher.query(`drop trigger ${database}.refuse_update_aggregate`);
            expect(await idsOf(store)).toEqual(["known", "kept"]);
            await isWhole(store, "new", "known", "kept");
          },
        );

        test("where the session counts in steps", async () => {
          const store = await open();
          await inTransaction(store, async (tx, inside) => {
            await inside.append(placed("kept"));
            await tx.query("set session auto_increment_increment = 2");
            expect(await codeOf(inside.append(placed("a")))).toBe("UNUSABLE");
          });
          await isWhole(store, "a", "b", "kept");
        });

        test("where the statement is cancelled", async () => {
          const store = await open();
          await store.append(placed("known"));
          await watcher.query(
            `create trigger ${database}.slow before update on ${of("aggregate")} for each row
            do if(new.version > 1 and @slow and '${database}' <> '', sleep(30), 0)`,
          );
          await inTransaction(store, async (tx, inside) => {
            await inside.append(placed("kept"));
            await tx.query("set @slow = 1");
            const failing = codeOf(inside.append(placed("known")));
            await watcher.query(`kill query ${await sleeping()}`);
            // On MySQL a sleep that is cut short is no error by itself.
            expect(["BUSY", "resolved"]).toContain(await failing);
            await tx.query("set @slow = 0");
            await inside.append(placed("later"));
          });
          await isWhole(store, "known", "kept", "later");
        });

        test("but what came before, and what was known already is found", async () => {
          const store = await open();
          const event = { id: "e1", type: "placed", data: {} };
          const again: AppendRequest = { aggregate: { type: "order", id: "known" }, events: [event] };
          await store.append(again);
          await inTransaction(store, async (tx, inside) => {
            await tx.query(`insert into ${notes} values ('before')`);
            await inside.append(placed("known"));
            expect(await inside.append(again)).toMatchObject({ repeated: true, first: 1 });
            expect(await codeOf(inside.appendAll([{ ...again, events: [event, { ...event, id: "e2" }] }]))).toBe(
              "KNOWN_EVENT_IDS",
            );
            await inside.append(placed("known"));
          });
          expect(await rowsOf(watcher, `select text from ${notes}`)).toEqual([{ text: "before" }]);
          expect(await idsOf(store)).toEqual(["known", "known", "known"]);
          await isWhole(store, "known", "other");
        });

        test("not even versions, where a savepoint is rolled back while it is under way", async () => {
          const store = await open();
          await store.append(placed("slow"));
          await sleepOnInsert();
          await inTransaction(store, async (tx, inside) => {
            await inside.append(placed("kept"));
            await tx.query("savepoint mine");
            const outcome = codeOf(inside.append({ ...placed("slow"), events: [{ type: SLOW, data: {} }] }));
            await sleeping();
            await tx.query("rollback to savepoint mine");
            expect(["resolved", "CONTENTION"]).toContain(await outcome);
          });
          expect(await idsOf(store)).toEqual(["slow", "kept"]);
          await isWhole(store, "slow", "kept");
        });

        test("of several that nobody awaits one after the other", async () => {
          const store = await open();
          await refuse("insert", "event", `new.event_type = '${REFUSED}'`);
          await inTransaction(store, async (_tx, inside) => {
            const outcomes = await Promise.all(
              ["a", "b", "c", "d"].flatMap((id) => [
                codeOf(inside.append(placed(id))),
                codeOf(inside.append(refused(id))),
              ]),
            );
            expect(outcomes.filter((code) => code === "resolved")).toHaveLength(4);
          });
          expect((await idsOf(store)).toSorted()).toEqual(["a", "b", "c", "d"]);
          await isWhole(store, "a", "b", "c", "d");
        });
      },
    );

    describe("in a lent transaction", () => {
      test("what the borrower writes beside an append that fails is kept", async () => {
        const store = await open();
        await refuse("insert", "event", `new.event_type = '${REFUSED}'`);
        await store.transaction(async (tx, inside) => {
          const writes: Promise<unknown>[] = [];
          for (const n of [1, 2, 3]) {
            writes.push(codeOf(inside.append(refused(`${n}`))));
            writes.push(tx.query(`insert into ${notes} values ('${n}')`));
            await new Promise((resolve) => setTimeout(resolve, n));
          }
          await Promise.all(writes);
        });
        expect(await rowsOf(watcher, `select text from ${notes} order by text`)).toEqual([
          { text: "1" },
          { text: "2" },
          { text: "3" },
        ]);
        await isWhole(store, "1", "2", "3");
      });

      test("an append that nobody awaits is there as a whole", async () => {
        const store = await open();
        await store.append(placed("slow"));
        await sleepOnInsert();
        const slow = { ...placed("slow"), events: [{ type: SLOW, data: {} }] };
        await store.transaction(async (_tx, inside) => {
          void inside.append(slow);
          await sleeping();
        });
        expect(await idsOf(store)).toEqual(["slow", "slow"]);
        await isWhole(store, "slow");
      });
    });

    describe("an append that cannot be taken back", () => {
      test("keeps a lent transaction from being committed", async () => {
        const pool = openPool();
        pool.on("connection", (connection) => forgetSavepoints(connection));
        const store = await borrow(pool);
        await refuse("insert", "event", `new.event_type = '${REFUSED}'`);
        const outcome = store.transaction(async (tx, inside) => {
          await inside.append(placed("before"));
          expect(await thrownBy(inside.append(refused("a")))).toMatchObject({ message: REFUSED });
          await tx.query(`insert into ${notes} values ('after')`).catch(() => undefined);
        });
        expect(await codeOf(outcome)).toBe("TRANSACTION_ENDED");
        expect(await rowsOf(watcher, `select text from ${notes}`)).toEqual([]);
        expect(await idsOf(store)).toEqual([]);
        await isWhole(store, "a", "before");
      });

      test("is told the caller, who has committed beside it", async () => {
        const store = await open();
        const client = await connect();
        await watcher.query(
          `create trigger ${database}.slow before insert on ${of("event")} for each row
            if sleep(if(new.event_type = '${REFUSED}' and '${database}' <> '', 1.5, 0)) = 0 and new.event_type = '${REFUSED}'
            then signal sqlstate '45000' set message_text = '${REFUSED}'; end if`,
        );
        await client.beginTransaction();
        const failing = beside(() => thrownBy(store.within(client).append(refused("a"))));
        await sleeping();
        await client.commit();
        expect(await failing).toMatchObject({ code: "TRANSACTION_ENDED", cause: { message: REFUSED } });
        expect(String(await failing)).toContain("Do not commit");
      });
    });

    describe("an index of the user's own that refuses an append", () => {
      beforeEach(async () => {
        await (await open()).append(placed("first"));
        await watcher.query(
          `alter table ${of("event")} add column number varchar(50)
            generated always as (json_value(data, '$.number')) virtual, add unique index by_number (number)`,
        );
      });
      const numbered = (id: string, number: string): AppendRequest => ({
        aggregate: { type: "order", id },
        events: [{ type: "numbered", data: { number } }],
      });

      test("does not keep those from appending that share its batch", async () => {
        const store = await open();
        await store.append(numbered("taken", "7"));
        const outcomes = await Promise.all([
          ...["a", "b", "c"].map((id) => thrownBy(store.append(placed(id)))),
          thrownBy(store.append(numbered("refused", "7"))),
          ...["d", "e"].map((id) => thrownBy(store.append(placed(id)))),
        ]);
        expect(outcomes.filter((outcome) => outcome !== "resolved")).toMatchObject([{ errno: 1062 }]);
        await isWhole(store, "a", "b", "c", "d", "e", "refused", "taken");
      });

      test("is told at once", async () => {
        const store = await open();
        await store.append(numbered("taken", "7"));
        const asked = async (): Promise<number> => {
          const status = await rowsOf(watcher, "show global status like 'Com_rollback'");
          return Number(status[0]?.["Value"]);
        };
        // Others may be at work on the server: the fewest count, and are far less than the 25 times of a batch tried again.
        await until(async () => {
          const before = await asked();
          expect(await thrownBy(store.append(numbered("refused", "7")))).toMatchObject({ errno: 1062 });
          return (await asked()) - before < 25;
        });
      });

      test.each(["lent", "caller's"] as const)("leaves nothing in a %s transaction", async (whose) => {
        const store = await open();
        await store.append(numbered("taken", "7"));
        await WAYS[whose](store, async (_tx, inside) => {
          expect(await thrownBy(inside.append(numbered("refused", "7")))).toMatchObject({ errno: 1062 });
          await inside.append(numbered("kept", "8"));
        });
        await isWhole(store, "refused", "kept", "taken");
      });
    });

    test("an aggregate whose row has no version yet is appended to in a batch", async () => {
      const store = await open();
      await watcher.query(
        `insert into ${of("aggregate")} (context, type, id, version) values ('default', 'order', 'a', 0)`,
      );
      await Promise.all(["a", "b"].map((id) => store.append(placed(id))));
      await isWhole(store, "a", "b");
    });

    test("where another tool inserts events without their versions, others of the batch are appended", async () => {
      const store = await open();
      await Promise.all(["a", "b"].map((id) => store.append(placed(id))));
      await watcher.query(`update ${of("aggregate")} set version = 0 where id = 'a'`);
      const outcomes = await Promise.all(["a", "b", "c"].map((id) => codeOf(store.append(placed(id)))));
      expect(outcomes).toEqual(["CONTENTION", "resolved", "resolved"]);
    });

    /** Waits for a statement that one of this test's triggers has put to sleep. The connection that it runs on. */
    async function sleeping(): Promise<number> {
      const name = database;
      let id = 0;
      await until(async () => {
        const rows = await rowsOf(watcher, "show full processlist");
        // The statement itself, or that of the trigger.
        id = Number(rows.find(({ State, Info }) => State === "User sleep" && String(Info).includes(name))?.["Id"] ?? 0);
        return id;
      });
      return id;
    }

    async function sleepOnInsert(): Promise<void> {
      await watcher.query(
        `create trigger ${database}.slow before insert on ${of("event")} for each row
          do if(new.event_type = '${SLOW}' and '${database}' <> '', sleep(1.5), 0)`,
      );
    }
  });
}

type Work = (tx: Pick<Connection, "query">, inside: Pick<MysqlStore, "append" | "appendAll">) => Promise<void>;

/** A table of this test's store, in its database. */
function of(table: string): string {
  return `${database}.tidemark_${table}`;
}

/** Makes a connection roll back to savepoints that are not there. */
function forgetSavepoints(connection: Pick<PoolConnection, "query">): void {
  const query: unknown = connection.query;
  const forgetting = (options: { readonly sql: string }, ...rest: readonly unknown[]): unknown => {
    const isRollback = options.sql.startsWith("rollback to");
    const asked = isRollback ? { ...options, sql: "rollback to savepoint forgotten" } : options;
    return typeof query === "function" ? Reflect.apply(query, connection, [asked, ...rest]) : undefined;
  };
  Object.assign(connection, { query: forgetting });
}

function refused(id: string): AppendRequest {
  const events = ["placed", REFUSED].map((type) => ({ type, data: {} }));
  return { aggregate: { type: "order", id }, events };
}

/** By itself, beside what else the test does: core marks the flow of control that is inside a transaction. */
async function beside<T>(work: () => Promise<T>): Promise<T> {
  await new Promise((resolve) => setTimeout(resolve));
  return work();
}

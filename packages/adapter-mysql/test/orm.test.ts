import type { MysqlTransaction } from "@tidemark/adapter-mysql";
import { consume, defineProjector, isTransient } from "@tidemark/core";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { DrizzleQueryError, eq, sql } from "drizzle-orm";
import { int, mysqlSchema, varchar } from "drizzle-orm/mysql-core";
import { drizzle } from "drizzle-orm/mysql2";
import { Kysely, MysqlDialect, type MysqlPool } from "kysely";
import type { Connection } from "mysql2/promise";
import { beforeEach, describe, expect, test } from "vitest";
import {
  codeOf,
  connect,
  database,
  FLAVOURS,
  idsOf,
  open,
  placed,
  rowsOf,
  terminate,
  thrownBy,
  useDatabase,
} from "./fixture.ts";

/** The README's: Drizzle on a transaction that somebody else began. */
function drizzleOn(tx: MysqlTransaction) {
  return drizzle({ client: asClient(tx) });
}

/** Drizzle asks for a connection of mysql2, and uses its `query`. */
function asClient(tx: MysqlTransaction): Connection {
  return tx as Connection;
}

/** The README's: Kysely on a transaction that somebody else began. It takes a pool of callbacks; this one has the one connection. */
function kyselyOn<Tables>(tx: MysqlTransaction): Kysely<Tables> {
  const connection = {
    query: (text: string, values: unknown[], done: (error: unknown, result?: unknown) => void): void => {
      tx.query(text, values).then(([result]) => done(null, result), done);
    },
    release: () => undefined,
  };
  const pool = {
    getConnection: (done: (error: unknown, got: unknown) => void) => done(null, connection),
    end: (done: () => void) => done(),
  } as unknown as MysqlPool;
  return new Kysely<Tables>({ dialect: new MysqlDialect({ pool }) });
}

interface Tables {
  orders: { id: string; count: number };
}

for (const flavour of FLAVOURS) {
  describeWithServer(flavour, (server) => {
    useDatabase(server);

    let watcher: Connection;
    beforeEach(async () => {
      watcher = await connect();
      await watcher.query(`create table ${database}.orders (id varchar(100) primary key, count int not null)`);
    });
    const ordersTable = () =>
      mysqlSchema(database).table("orders", {
        id: varchar("id", { length: 100 }).primaryKey(),
        count: int("count").notNull(),
      });
    const stored = (): Promise<readonly unknown[]> =>
      rowsOf(watcher, `select id, count from ${database}.orders order by id`);

    /** What both libraries have to do: count an order, and fail on one that is there already. */
    interface Library {
      readonly name: string;
      readonly count: (tx: MysqlTransaction, id: string) => Promise<void>;
      readonly insert: (tx: MysqlTransaction, id: string) => Promise<void>;
      readonly run: (tx: MysqlTransaction, statement: string) => Promise<void>;
    }

    const libraries: readonly Library[] = [
      {
        name: "drizzle",
        count: async (tx, id) => {
          const orders = ordersTable();
          await drizzleOn(tx)
            .insert(orders)
            .values({ id, count: 1 })
            .onDuplicateKeyUpdate({ set: { count: sql`${orders.count} + 1` } });
          const [row] = await drizzleOn(tx).select().from(orders).where(eq(orders.id, id));
          if (row?.id !== id) throw new Error("It does not see what it wrote.");
        },
        insert: async (tx, id) => void (await drizzleOn(tx).insert(ordersTable()).values({ id, count: 0 })),
        run: async (tx, statement) => void (await drizzleOn(tx).execute(sql.raw(statement))),
      },
      {
        name: "kysely",
        count: async (tx, id) => {
          const db = kyselyOn<Tables>(tx).withSchema(database);
          await db
            .insertInto("orders")
            .values({ id, count: 1 })
            .onDuplicateKeyUpdate((eb) => ({ count: eb("orders.count", "+", 1) }))
            .execute();
          await db.selectFrom("orders").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
        },
        insert: async (tx, id) => {
          await kyselyOn<Tables>(tx).withSchema(database).insertInto("orders").values({ id, count: 0 }).execute();
        },
        run: async (tx, statement) => {
          await kyselyOn<Tables>(tx).executeQuery({
            sql: statement,
            parameters: [],
            query: { kind: "RawNode", sqlFragments: [statement], parameters: [] },
            queryId: { queryId: "run" },
          });
        },
      },
    ];

    describe.each(libraries)("$name", ({ name, count, insert, run }) => {
      test("writes a read model in the transaction in which the checkpoint commits", async () => {
        const store = await open();
        const failing = new Set(["c"]);
        const projector = defineProjector<MysqlTransaction>({
          name: "orders",
          failure: { then: "stop", attempts: 1 },
          handle: async (event, { tx }) => {
            await count(tx, event.aggregate.id);
            if (failing.has(event.aggregate.id)) throw new Error("from the handler");
          },
        });
        for (const id of ["a", "b", "a"]) await store.append(placed(id));
        await consume(store, projector);
        expect(await stored()).toEqual([
          { id: "a", count: 2 },
          { id: "b", count: 1 },
        ]);
        await store.append(placed("c"));
        expect(await consume(store, projector)).toMatchObject({ kind: "stopped" });
        expect(await stored()).toHaveLength(2);
        failing.clear();
        await consume(store, projector);
        expect(await stored()).toContainEqual({ id: "c", count: 1 });
      });

      test("writes beside appends in a transaction that the store lends", async () => {
        const store = await open();
        await store.transaction(async (tx, inside) => {
          await count(tx, "1");
          await inside.append(placed("1"));
          await count(tx, "1");
        });
        expect(await stored()).toEqual([{ id: "1", count: 2 }]);
        expect(await idsOf(store)).toEqual(["1"]);
        const late = await store.transaction(async (tx) => tx);
        const refused = await thrownBy(count(late, "2"));
        expect(errorsOf(refused)).toContainEqual(expect.objectContaining({ code: "TRANSACTION_ENDED" }));
      });

      test("shares its own transaction with the store, committed or rolled back", async () => {
        const store = await open();
        const client = await connect();
        for (const end of ["commit", "rollback"]) {
          await client.beginTransaction();
          await count(client, end);
          await store.within(client).append(placed(end));
          await client.query(end);
        }
        expect(await stored()).toEqual([{ id: "commit", count: 1 }]);
        expect(await idsOf(store)).toEqual(["commit"]);
      });

      test("that fails tells the driver's error, and that of a lost connection or a deadlock is transient", async () => {
        const store = await open();
        await insert(watcher, "1");
        const duplicate = await thrownBy(store.transaction((tx) => insert(tx, "1")));
        expect(errorsOf(duplicate)).toContainEqual(expect.objectContaining({ errno: 1062 }));
        expect(isTransient(duplicate)).toBe(false);
        expect(duplicate instanceof DrizzleQueryError).toBe(name === "drizzle");

        const lost = await thrownBy(
          store.transaction(async (tx) => {
            await terminate(watcher);
            await count(tx, "1");
          }),
        );
        expect(lost).toMatchObject({ code: "UNAVAILABLE" });
        expect(isTransient(lost)).toBe(true);

        await watcher.query(
          `create procedure ${database}.victim() signal sqlstate '40001' set mysql_errno = 1213, message_text = 'x'`,
        );
        const victim = await thrownBy(store.transaction((tx) => run(tx, `call ${database}.victim()`)));
        expect(victim).toMatchObject({ code: "CONTENTION" });
        expect(errorsOf(victim)).toContainEqual(expect.objectContaining({ errno: 1213, sqlState: "40001" }));
      });

      test("that swallows its own failure commits the rest as one", async () => {
        const store = await open();
        await insert(watcher, "1");
        await store.transaction(async (tx, inside) => {
          await inside.append(placed("1"));
          await insert(tx, "1").catch(() => undefined);
          await count(tx, "2");
        });
        expect(await idsOf(store)).toEqual(["1"]);
        expect(await stored()).toEqual([
          { id: "1", count: 0 },
          { id: "2", count: 1 },
        ]);
      });

      test("that ends the transaction is detected", async () => {
        const store = await open();
        for (const statement of ["commit", "set autocommit = 1"]) {
          const outcome = store.transaction(async (tx, inside) => {
            await run(tx, statement);
            await inside.append(placed("1"));
          });
          expect(await codeOf(outcome)).toBe("TRANSACTION_ENDED");
        }
        expect(await idsOf(store)).toEqual([]);
      });
    });

    test("a transaction of drizzle's own on a connection is one for the store", async () => {
      const store = await open();
      const client = await connect();
      const db = drizzle({ client });
      await db.transaction(async (tx) => {
        await tx.insert(ordersTable()).values({ id: "1", count: 1 });
        await store.within(client).append(placed("1"));
      });
      await thrownBy(
        db.transaction(async (tx) => {
          await tx.insert(ordersTable()).values({ id: "2", count: 1 });
          await store.within(client).append(placed("2"));
          tx.rollback();
        }),
      );
      expect(await stored()).toEqual([{ id: "1", count: 1 }]);
      expect(await idsOf(store)).toEqual(["1"]);
    });

    test("a transaction of kysely's own on a connection is one for the store", async () => {
      const store = await open();
      const client = await connect();
      const db = kyselyOn<Tables>(client).withSchema(database);
      await db.transaction().execute(async (trx) => {
        await trx.insertInto("orders").values({ id: "1", count: 1 }).execute();
        await store.within(client).append(placed("1"));
      });
      await thrownBy(
        db.transaction().execute(async (trx) => {
          await trx.insertInto("orders").values({ id: "2", count: 1 }).execute();
          await store.within(client).append(placed("2"));
          throw new Error("from the application");
        }),
      );
      expect(await stored()).toEqual([{ id: "1", count: 1 }]);
      expect(await idsOf(store)).toEqual(["1"]);
    });
  });
}

/** An error and what caused it. */
function errorsOf(error: unknown): readonly unknown[] {
  return error instanceof Error ? [error, ...errorsOf(error.cause)] : [];
}

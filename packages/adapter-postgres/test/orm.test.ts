import type { PostgresTransaction } from "@tidemark/adapter-postgres";
import { consume, defineProjector, isTransient } from "@tidemark/core";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { DrizzleQueryError, eq, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { integer, pgSchema, text } from "drizzle-orm/pg-core";
import { Kysely, PostgresDialect, type PostgresPoolClient } from "kysely";
import type { Client, PoolClient } from "pg";
import { beforeEach, describe, expect, test } from "vitest";
import {
  codeOf,
  connect,
  idsOf,
  open,
  placed,
  schemaName,
  terminate,
  backends,
  thrownBy,
  useDatabase,
} from "./fixture.ts";

/** The README's: Drizzle on a transaction that somebody else began. */
function drizzleOn(tx: PostgresTransaction) {
  return drizzle({ client: asClient(tx) });
}

/** Drizzle asks for a client of pg, and uses its `query`. */
function asClient(tx: PostgresTransaction): PoolClient {
  return tx as PoolClient;
}

/** The README's: Kysely on a transaction that somebody else began. It takes a pool; this one has the one client. */
function kyselyOn<Tables>(tx: PostgresTransaction): Kysely<Tables> {
  const client = { query: tx.query.bind(tx), release: () => undefined } as unknown as PostgresPoolClient;
  return new Kysely<Tables>({
    dialect: new PostgresDialect({ pool: { connect: async () => client, end: async () => undefined } }),
  });
}

interface Tables {
  orders: { id: string; count: number };
}

describeWithServer("postgres", (server) => {
  useDatabase(server);

  let watcher: Client;
  beforeEach(async () => {
    watcher = await connect();
    await watcher.query(`create schema ${schemaName}_app`);
    await watcher.query(`create table ${schemaName}_app.orders (id text primary key, count integer not null)`);
  });
  const ordersTable = () =>
    pgSchema(`${schemaName}_app`).table("orders", { id: text("id").primaryKey(), count: integer("count").notNull() });
  const stored = async (): Promise<readonly unknown[]> => {
    const { rows } = await watcher.query<Tables["orders"]>(
      `select id, count from ${schemaName}_app.orders order by id`,
    );
    return rows;
  };

  /** What both libraries have to do: count an order, and fail on one that is there already. */
  interface Library {
    readonly name: string;
    readonly count: (tx: PostgresTransaction, id: string) => Promise<void>;
    readonly insert: (tx: PostgresTransaction, id: string) => Promise<void>;
    readonly run: (tx: PostgresTransaction, statement: string) => Promise<void>;
  }

  const libraries: readonly Library[] = [
    {
      name: "drizzle",
      count: async (tx, id) => {
        const orders = ordersTable();
        await drizzleOn(tx)
          .insert(orders)
          .values({ id, count: 1 })
          .onConflictDoUpdate({ target: orders.id, set: { count: sql`${orders.count} + 1` } });
        const [row] = await drizzleOn(tx).select().from(orders).where(eq(orders.id, id));
        if (row === undefined) throw new Error("It does not see what it wrote.");
      },
      insert: async (tx, id) => void (await drizzleOn(tx).insert(ordersTable()).values({ id, count: 0 })),
      run: async (tx, statement) => void (await drizzleOn(tx).execute(sql.raw(statement))),
    },
    {
      name: "kysely",
      count: async (tx, id) => {
        const db = kyselyOn<Tables>(tx).withSchema(`${schemaName}_app`);
        await db
          .insertInto("orders")
          .values({ id, count: 1 })
          .onConflict((conflict) => conflict.column("id").doUpdateSet((eb) => ({ count: eb("orders.count", "+", 1) })))
          .execute();
        await db.selectFrom("orders").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
      },
      insert: async (tx, id) => {
        await kyselyOn<Tables>(tx)
          .withSchema(`${schemaName}_app`)
          .insertInto("orders")
          .values({ id, count: 0 })
          .execute();
      },
      run: async (tx, statement) => {
        await tx.query("select 1");
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
      const projector = defineProjector<PostgresTransaction>({
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
        await client.query("begin");
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
      expect(errorsOf(duplicate)).toContainEqual(expect.objectContaining({ code: "23505" }));
      expect(isTransient(duplicate)).toBe(false);
      expect(duplicate instanceof DrizzleQueryError).toBe(name === "drizzle");

      const lost = await thrownBy(
        store.transaction(async (tx) => {
          await terminate(
            watcher,
            (await backends(watcher)).map(({ pid }) => pid),
          );
          await count(tx, "1");
        }),
      );
      expect(lost).toMatchObject({ code: "UNAVAILABLE" });
      expect(isTransient(lost)).toBe(true);

      const victim = await thrownBy(
        store.transaction((tx) => run(tx, `do $$ begin raise exception using errcode = '40P01'; end $$`)),
      );
      expect(victim).toMatchObject({ code: "CONTENTION" });
      expect(errorsOf(victim)).toContainEqual(expect.objectContaining({ severity: "ERROR", code: "40P01" }));
    });

    test("that swallows its own failure leaves nothing of the transaction", async () => {
      const store = await open();
      await insert(watcher, "1");
      const outcome = store.transaction(async (tx, inside) => {
        await inside.append(placed("1"));
        await insert(tx, "1").catch(() => undefined);
      });
      expect(await codeOf(outcome)).toBe("TRANSACTION_ENDED");
      expect(await idsOf(store)).toEqual([]);
    });
  });

  test("a transaction of drizzle's own on a client is one for the store", async () => {
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

  test("a transaction of kysely's own on a client is one for the store", async () => {
    const store = await open();
    const client = await connect();
    const db = kyselyOn<Tables>(client).withSchema(`${schemaName}_app`);
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

/** An error and what caused it. */
function errorsOf(error: unknown): readonly unknown[] {
  return error instanceof Error ? [error, ...errorsOf(error.cause)] : [];
}

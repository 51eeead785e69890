import type { MysqlStore, MysqlTransaction } from "@tidemark/adapter-mysql";
import { Kysely, MysqlDialect, type MysqlPool, type MysqlPoolConnection } from "kysely";
import type { Connection, Pool } from "mysql2/promise";

interface Tables {
  stock: { sku: string; available: number };
}

/** Kysely on one connection, which it neither opens nor closes. It takes callbacks, where what is lent gives promises. */
function kyselyOn(tx: MysqlTransaction | Connection): Kysely<Tables> {
  const connection = {
    query: (sql: string, values: unknown[], done: (error: unknown, result?: unknown) => void) =>
      void tx.query(sql, values).then(([result]) => done(undefined, result), done),
    release: () => undefined,
  } as unknown as MysqlPoolConnection;
  const pool: MysqlPool = { getConnection: (done) => done(undefined, connection), end: (done) => done(undefined) };
  return new Kysely({ dialect: new MysqlDialect({ pool }) });
}

/** In a transaction of the store's. */
export async function placeWithKysely(store: MysqlStore, order: string, sku: string): Promise<void> {
  await store.transaction(async (tx, inside) => {
    const taken = kyselyOn(tx)
      .updateTable("stock")
      .set((row) => ({ available: row("available", "-", 1) }));
    await taken.where("sku", "=", sku).execute();
    await inside.append({ aggregate: { type: "order", id: order }, events: [{ type: "order-placed", data: { sku } }] });
  });
}

/** In a transaction of Kysely's. */
export async function takeWithKysely(store: MysqlStore, pool: Pool, sku: string): Promise<void> {
  const connection = await pool.getConnection();
  try {
    await kyselyOn(connection)
      .transaction()
      .setIsolationLevel("read committed")
      .execute(async (db) => {
        const taken = db.updateTable("stock").set((row) => ({ available: row("available", "-", 1) }));
        await taken.where("sku", "=", sku).execute();
        const events = [{ type: "taken", data: 1 }];
        await store.within(connection).append({ aggregate: { type: "stock", id: sku }, events });
      });
  } finally {
    connection.release();
  }
}

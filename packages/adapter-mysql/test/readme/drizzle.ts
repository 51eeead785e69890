import type { MysqlStore } from "@tidemark/adapter-mysql";
import { eq, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/mysql2";
import { int, mysqlTable, varchar } from "drizzle-orm/mysql-core";
import type { Connection, Pool } from "mysql2/promise";

const stock = mysqlTable("stock", { sku: varchar({ length: 50 }).primaryKey(), available: int().notNull() });
const taken = { available: sql`${stock.available} - 1` };

/** In a transaction of the store's: on the connection that is lent. */
export async function placeWithDrizzle(store: MysqlStore, order: string, sku: string): Promise<void> {
  await store.transaction(async (tx, inside) => {
    const db = drizzle({ client: tx as Connection }); // of which it uses `query` and `execute`
    await db.update(stock).set(taken).where(eq(stock.sku, sku));
    await inside.append({ aggregate: { type: "order", id: order }, events: [{ type: "order-placed", data: { sku } }] });
  });
}

/** In a transaction of Drizzle's: on a connection that you hand to both. */
export async function takeWithDrizzle(store: MysqlStore, pool: Pool, sku: string): Promise<void> {
  const connection = await pool.getConnection();
  try {
    await drizzle({ client: connection }).transaction(
      async (db) => {
        await db.update(stock).set(taken).where(eq(stock.sku, sku));
        const events = [{ type: "taken", data: 1 }];
        await store.within(connection).append({ aggregate: { type: "stock", id: sku }, events });
      },
      { isolationLevel: "read committed" },
    );
  } finally {
    connection.release();
  }
}

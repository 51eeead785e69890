import type { PostgresStore } from "@tidemark/adapter-postgres";
import { eq, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { integer, pgTable, text } from "drizzle-orm/pg-core";
import type { Pool, PoolClient } from "pg";

const stock = pgTable("stock", { sku: text().primaryKey(), available: integer().notNull() });
const taken = { available: sql`${stock.available} - 1` };

/** In a transaction of the store's: on the client that is lent. */
export async function placeWithDrizzle(store: PostgresStore, order: string, sku: string): Promise<void> {
  await store.transaction(async (tx, inside) => {
    const db = drizzle({ client: tx as PoolClient }); // of which it uses `query`
    await db.update(stock).set(taken).where(eq(stock.sku, sku));
    await inside.append({ aggregate: { type: "order", id: order }, events: [{ type: "order-placed", data: { sku } }] });
  });
}

/** In a transaction of Drizzle's: on a client that you hand to both. */
export async function takeWithDrizzle(store: PostgresStore, pool: Pool, sku: string): Promise<void> {
  const client = await pool.connect();
  try {
    await drizzle({ client }).transaction(async (db) => {
      await db.update(stock).set(taken).where(eq(stock.sku, sku));
      await store
        .within(client)
        .append({ aggregate: { type: "stock", id: sku }, events: [{ type: "taken", data: 1 }] });
    });
  } finally {
    client.release();
  }
}

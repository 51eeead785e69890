import type { PostgresStore, PostgresTransaction } from "@tidemark/adapter-postgres";
import { Kysely, PostgresDialect } from "kysely";
import type { Pool } from "pg";

interface Tables {
  stock: { sku: string; available: number };
}

/** Kysely on one client, which it neither opens nor closes. */
function kyselyOn(tx: PostgresTransaction): Kysely<Tables> {
  const client = { query: tx.query.bind(tx), release: () => undefined };
  const pool = { connect: async () => client, end: async () => undefined };
  return new Kysely({ dialect: new PostgresDialect({ pool }) });
}

/** In a transaction of the store's. */
export async function placeWithKysely(store: PostgresStore, order: string, sku: string): Promise<void> {
  await store.transaction(async (tx, inside) => {
    const taken = kyselyOn(tx)
      .updateTable("stock")
      .set((row) => ({ available: row("available", "-", 1) }));
    await taken.where("sku", "=", sku).execute();
    await inside.append({ aggregate: { type: "order", id: order }, events: [{ type: "order-placed", data: { sku } }] });
  });
}

/** In a transaction of Kysely's. */
export async function takeWithKysely(store: PostgresStore, pool: Pool, sku: string): Promise<void> {
  const client = await pool.connect();
  try {
    await kyselyOn(client)
      .transaction()
      .execute(async (db) => {
        const taken = db.updateTable("stock").set((row) => ({ available: row("available", "-", 1) }));
        await taken.where("sku", "=", sku).execute();
        const events = [{ type: "taken", data: 1 }];
        await store.within(client).append({ aggregate: { type: "stock", id: sku }, events });
      });
  } finally {
    client.release();
  }
}

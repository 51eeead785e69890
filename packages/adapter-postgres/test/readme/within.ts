import type { PostgresStore } from "@tidemark/adapter-postgres";
import type { Pool } from "pg";

/** The same in a transaction that you have begun. */
export async function invoice(store: PostgresStore, pool: Pool, order: string): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    await client.query("insert into invoice (order_id) values ($1)", [order]);
    await store
      .within(client)
      .append({ aggregate: { type: "order", id: order }, events: [{ type: "invoiced", data: {} }] });
    await client.query("commit");
  } catch (error) {
    await client.query("rollback").catch(() => undefined);
    throw error;
  } finally {
    client.release();
  }
}

import type { MysqlStore } from "@tidemark/adapter-mysql";
import type { Pool } from "mysql2/promise";

/** The same in a transaction that you have begun. */
export async function invoice(store: MysqlStore, pool: Pool, order: string): Promise<void> {
  const connection = await pool.getConnection();
  try {
    await connection.query("set transaction isolation level read committed"); // of the next one
    await connection.beginTransaction();
    await connection.execute("insert into invoice (order_id) values (?)", [order]);
    await store
      .within(connection)
      .append({ aggregate: { type: "order", id: order }, events: [{ type: "invoiced", data: {} }] });
    await connection.commit();
  } catch (error) {
    await connection.rollback().catch(() => connection.destroy());
    throw error;
  } finally {
    connection.release();
  }
}

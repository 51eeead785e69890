import type { MysqlStore } from "@tidemark/adapter-mysql";

/** Your row and our event, committed together. */
export async function place(store: MysqlStore, order: string, sku: string): Promise<void> {
  await store.transaction(async (tx, inside) => {
    await tx.execute("update stock set available = available - 1 where sku = ?", [sku]);
    await inside.append({
      aggregate: { type: "order", id: order },
      expected: "none",
      events: [{ type: "order-placed", data: { sku } }],
    });
  });
}

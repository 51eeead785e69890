import type { PostgresStore } from "@tidemark/adapter-postgres";

/** Your row and our event, committed together. */
export async function place(store: PostgresStore, order: string, sku: string): Promise<void> {
  await store.transaction(async (tx, inside) => {
    await tx.query("update stock set available = available - 1 where sku = $1", [sku]);
    await inside.append({
      aggregate: { type: "order", id: order },
      expected: "none",
      events: [{ type: "order-placed", data: { sku } }],
    });
  });
}

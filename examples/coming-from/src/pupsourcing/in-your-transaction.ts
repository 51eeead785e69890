import type { SqliteStore } from "@tidemark/adapter-sqlite";

/** Your row and our event, committed together. */
export async function deposit(store: SqliteStore, id: string, amount: number): Promise<void> {
  await store.transaction(async (tx, inside) => {
    tx.prepare("insert into receipt (account, amount) values (?, ?)").run(id, amount);
    await inside.append({
      aggregate: { context: "banking", type: "account", id },
      expected: "exists",
      events: [{ type: "deposited", data: { amount } }],
    });
  });
}

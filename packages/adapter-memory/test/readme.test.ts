import { createMemoryDatabase, createMemoryStore, type MemoryTransaction } from "@tidemark/adapter-memory";
import { consume, defineProjector } from "@tidemark/core";
import { expect, test } from "vitest";

test("revenue is counted once", async () => {
  const database = createMemoryDatabase();
  const store = await createMemoryStore({ database });
  const revenue = defineProjector<MemoryTransaction, { paid: number }>({
    name: "revenue",
    handlers: { paid: ({ data }, { tx }) => tx.table<number>("revenue").update("total", (sum = 0) => sum + data) },
  });
  await store.append({ aggregate: { type: "order", id: "1" }, events: [{ type: "paid", data: 120 }] });
  await consume(store, revenue);
  await consume(store, revenue);
  expect(await database.table("revenue").get("total")).toBe(120);
});

import { createSqliteStore } from "@tidemark/adapter-sqlite";
import { isTidemarkError } from "@tidemark/core";

const store = await createSqliteStore({ file: "shop.db" });

try {
  await store.append({
    aggregate: { type: "order", id: "o-1" },
    expected: 3,
    events: [{ type: "order-paid", data: { amount: 120 } }],
  });
} catch (error) {
  if (!isTidemarkError(error, "VERSION_CONFLICT")) throw error;
  console.log(`somebody was faster: version ${error.details.actual}`);
}

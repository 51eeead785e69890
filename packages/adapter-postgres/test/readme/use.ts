import { createPostgresStore } from "@tidemark/adapter-postgres";

const store = await createPostgresStore({ connection: process.env["DATABASE_URL"] ?? "postgres://localhost/shop" });

await store.append({
  aggregate: { type: "order", id: "42" },
  events: [{ type: "order-placed", data: { total: 1999 } }],
});
await store.close();

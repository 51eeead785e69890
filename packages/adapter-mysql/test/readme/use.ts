import { createMysqlStore } from "@tidemark/adapter-mysql";

const store = await createMysqlStore({ connection: process.env["DATABASE_URL"] ?? "mysql://root@localhost/shop" });

await store.append({
  aggregate: { type: "order", id: "42" },
  events: [{ type: "order-placed", data: { total: 1999 } }],
});
await store.close();

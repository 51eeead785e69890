import { createSqliteStore, type SqliteTransaction } from "@tidemark/adapter-sqlite";
import { consume, defineProjector } from "@tidemark/core";

type Events = { "order-placed": { total: number }; "order-cancelled": { reason: string } };

const store = await createSqliteStore({ file: process.argv[2] ?? "orders.db" });
await store.transaction(async (tx) => tx.exec("create table if not exists revenue (day text primary key, total real)"));

const order = { type: "order", id: crypto.randomUUID() };
await store.append({ aggregate: order, expected: "none", events: [{ type: "order-placed", data: { total: 120 } }] });

const revenue = defineProjector<SqliteTransaction, Events>({
  name: "revenue",
  handlers: {
    "order-placed": ({ data, occurredOn }, { tx }) =>
      tx // the transaction in which the checkpoint commits: exactly once, also after a crash
        .prepare("insert into revenue values (?, ?) on conflict do update set total = total + excluded.total")
        .run(occurredOn.toISOString().slice(0, 10), data.total),
  },
});
console.log(await consume(store, revenue)); // { kind: 'caught-up', handled: 1, position: 1n }
await store.close();

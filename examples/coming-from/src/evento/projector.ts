import type { SqliteTransaction } from "@tidemark/adapter-sqlite";
import { defineProjector, type Projector } from "@tidemark/core";
import type { Events } from "./events.ts";

export const revenue: Projector<SqliteTransaction> = defineProjector<SqliteTransaction, Events>({
  name: "revenue",
  handlers: {
    "order-placed": ({ data, aggregate }, { tx }) =>
      tx.prepare("insert into revenue values (?, ?, ?)").run(aggregate.id, data.customer, data.total),
    "order-cancelled": ({ aggregate }, { tx }) => tx.prepare("delete from revenue where id = ?").run(aggregate.id),
  },
});

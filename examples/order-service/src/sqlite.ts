import { mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { createSqliteStore, type SqliteTransaction } from "@tidemark/adapter-sqlite";
import Database from "better-sqlite3";
import type { Sales, Shop } from "./shop.ts";

const CREATE = `
  create table if not exists sales (
    customer text primary key,
    orders integer not null,
    cents integer not null
  ) without rowid`;

const ADD = `
  insert into sales (customer, orders, cents) values (?, 1, ?)
  on conflict (customer) do update set orders = orders + 1, cents = cents + excluded.cents`;

export async function openSqliteShop(file: string): Promise<Shop<SqliteTransaction>> {
  const store = await createSqliteStore({ file });
  await store.transaction(async (tx) => tx.exec(CREATE));
  const reader = new Database(file, { readonly: true });
  const byCustomer = reader.prepare<[string], Sales>("select * from sales where customer = ?");
  return {
    store,
    sales: {
      add: async (tx, customer, cents) => {
        tx.prepare(ADD).run(customer, cents);
      },
      read: async (customer) => byCustomer.get(customer) ?? { customer, orders: 0, cents: 0 },
      all: async () => reader.prepare<[], Sales>("select * from sales order by customer").all(),
    },
    close: async () => {
      await store.close();
      reader.close();
    },
  };
}

export function clearSqliteShop(file: string): void {
  mkdirSync(dirname(file), { recursive: true });
  for (const suffix of ["", "-wal", "-shm"]) rmSync(file + suffix, { force: true });
}

import { createPostgresStore, type PostgresTransaction } from "@tidemark/adapter-postgres";
import { Pool } from "pg";
import type { Sales, Shop } from "./shop.ts";

/** Everything is in here, the log too. */
const SCHEMA = "tidemark_order_service";

const CREATE = `
  create table if not exists ${SCHEMA}.sales (
    customer text primary key,
    orders integer not null,
    cents integer not null
  )`;

const ADD = `
  insert into ${SCHEMA}.sales as s (customer, orders, cents) values ($1, 1, $2)
  on conflict (customer) do update set orders = s.orders + 1, cents = s.cents + excluded.cents`;

export async function openPostgresShop(url: string): Promise<Shop<PostgresTransaction>> {
  const pool = new Pool({ connectionString: url });
  // Connections that break while nobody uses them. Whoever needs one next gets another, or an error of its own.
  pool.on("error", () => undefined);
  const store = await createPostgresStore({ pool, schemaName: SCHEMA, notify: true });
  return {
    store,
    sales: {
      add: async (tx, customer, cents) => {
        await tx.query(ADD, [customer, cents]);
      },
      read: async (customer) => {
        const { rows } = await pool.query<Sales>(`select * from ${SCHEMA}.sales where customer = $1`, [customer]);
        return rows[0] ?? { customer, orders: 0, cents: 0 };
      },
      all: async () => {
        const { rows } = await pool.query<Sales>(`select * from ${SCHEMA}.sales order by customer collate "C"`);
        return rows;
      },
    },
    close: async () => {
      await store.close();
      await pool.end();
    },
  };
}

/** Throws away what an earlier run has left, and makes the table: by one process, before the others start. */
export async function clearPostgresShop(url: string): Promise<void> {
  const pool = new Pool({ connectionString: url, max: 1 });
  try {
    await pool.query(`drop schema if exists ${SCHEMA} cascade`);
    await pool.query(`create schema ${SCHEMA}`);
    await pool.query(CREATE);
  } finally {
    await pool.end();
  }
}

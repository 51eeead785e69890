import type { Store } from "@tidemark/core";

/** One database: the log, and the read model beside it. */
export interface Shop<Tx> {
  readonly store: Store<Tx>;
  readonly sales: SalesTable<Tx>;
  /** Closes both. */
  close(): Promise<void>;
}

/** What a customer has bought. */
export interface Sales {
  readonly customer: string;
  readonly orders: number;
  readonly cents: number;
}

export interface SalesTable<Tx> {
  /** Adds an order, in the transaction of the projector. It does not look whether it has done so before. */
  add(tx: Tx, customer: string, cents: number): Promise<void>;
  read(customer: string): Promise<Sales>;
  /** Of all customers, by their names. */
  all(): Promise<readonly Sales[]>;
}

/** Where the shop is: a SQLite file, or a PostgreSQL server. */
export type Place =
  | { readonly kind: "sqlite"; readonly file: string }
  | { readonly kind: "postgres"; readonly url: string };

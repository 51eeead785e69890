import { createHash } from "node:crypto";
import { decodeNumber, keepingLast } from "@tidemark/sql-kit";
import type { ClientBase, QueryConfig, QueryResult } from "pg";

/** What statements run on: a client of pg, or something that looks like one. */
export type Queryable = Pick<ClientBase, "query">;

/** A client with our prepared statements. */
export class Connection {
  readonly client: Queryable;
  readonly #prepare: boolean;

  constructor(client: Queryable, prepare: boolean) {
    this.client = client;
    this.#prepare = prepare;
  }

  /** How many rows the statement wrote. */
  async run(sql: string, ...values: readonly unknown[]): Promise<number> {
    const { rowCount } = await this.#query(sql, values);
    return rowCount ?? 0;
  }

  async get(sql: string, ...values: readonly unknown[]): Promise<unknown> {
    const { rows } = await this.#query(sql, values);
    return rows[0];
  }

  async all(sql: string, ...values: readonly unknown[]): Promise<readonly unknown[]> {
    const { rows }: { readonly rows: readonly unknown[] } = await this.#query(sql, values);
    return rows;
  }

  /** The one number that a query yields. */
  async number(sql: string, ...values: readonly unknown[]): Promise<number> {
    return decodeNumber(await this.get(sql, ...values), sql);
  }

  /** Several statements in one round trip, without values: the simple protocol. */
  async script(sql: string): Promise<readonly QueryResult[]> {
    const result: unknown = await this.client.query({ text: sql, types: TYPES });
    return Array.isArray(result) ? asResults(result) : asResults([result]);
  }

  #query(sql: string, values: readonly unknown[]): Promise<QueryResult> {
    const config: QueryConfig = { text: sql, values: [...values], types: TYPES };
    if (this.#prepare) config.name = nameOf(sql);
    return this.client.query(config);
  }
}

/** An array of whole numbers as a value of a statement. The driver would quote each of them. */
export function numbers(values: readonly (number | bigint)[]): string {
  return `{${values.join(",")}}`;
}

/** An array of texts as a value of a statement. The driver would look at each of them several times. */
export function texts(values: readonly string[]): string {
  return `{${values.map(quotedElement).join(",")}}`;
}

function quotedElement(text: string): string {
  const unescaped = text.includes("\\") ? text.replaceAll("\\", "\\\\") : text;
  return `"${unescaped.replaceAll('"', '\\"')}"`;
}

/** As many statements as some stores have between them. */
const NAMES_KEPT = 2_000;

/** By content: two stores, or two versions of this package, may share a client of the caller's. */
const nameOf = keepingLast(
  NAMES_KEPT,
  (sql) => `tidemark_${createHash("sha256").update(sql).digest("hex").slice(0, 24)}`,
);

const asIs = (text: string): string => text;
const asNumbers = (text: string): readonly number[] => (text === "{}" ? [] : text.slice(1, -1).split(",").map(Number));

/** By type's oid. Whole numbers fit: positions and tokens stay below 2^48. JSON is never parsed. */
const PARSERS: ReadonlyMap<number, (text: string) => unknown> = new Map<number, (text: string) => unknown>([
  [16, (text) => text === "t"],
  [20, Number],
  [21, Number],
  [23, Number],
  [1005, asNumbers],
  [1007, asNumbers],
  [1016, asNumbers],
]);

/** Whatever the application has set for its own queries with `types.setTypeParser`. */
const TYPES: NonNullable<QueryConfig["types"]> = {
  getTypeParser: (oid: number) => PARSERS.get(oid) ?? asIs,
};

function asResults(results: readonly unknown[]): readonly QueryResult[] {
  return results as readonly QueryResult[];
}

/** What the server has said of the client's transaction: idle, open, failed. Undefined where the client does not tell. */
export function statusOf(client: Queryable): "I" | "T" | "E" | undefined {
  const status: unknown = isOfPg(client) ? client.getTransactionStatus() : undefined;
  return status === "I" || status === "T" || status === "E" ? status : undefined;
}

function isOfPg(client: Queryable): client is Queryable & Pick<ClientBase, "getTransactionStatus"> {
  return "getTransactionStatus" in client && typeof client.getTransactionStatus === "function";
}

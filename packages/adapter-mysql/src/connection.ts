import { decodeNumber, keepingLast } from "@tidemark/sql-kit";
import { escape } from "mysql2";
import type { Connection as CallbackConnection } from "mysql2";
import type { ConnectionOptions, Connection as PromiseConnection, ResultSetHeader } from "mysql2/promise";

/** What statements run on: a connection of mysql2 whose methods return promises, or something that looks like one. */
export type Queryable = Pick<PromiseConnection, "query" | "execute">;

/** A connection of mysql2 whose methods take callbacks. */
export type CallbackQueryable = Pick<CallbackConnection, "query" | "execute" | "promise">;

/**
 * A connection with our statements, whose values are `$1`, `$2` … and are written into the text: many of them are lists,
 * and no pooler has to keep prepared statements. Needs a session that takes backslashes for escapes and whose character
 * set is utf8mb4, see `readProfile`.
 */
export class Connection {
  readonly client: Queryable;
  /** When the server has answered last, by `performance.now()`. */
  answeredAt: number = performance.now();
  /** How long nothing was asked of it before the statement that was asked last, in milliseconds. */
  idledMs = 0;
  /** Bytes of the longest script, where the connection takes several statements in one round trip. */
  readonly #scriptBytes: number;
  readonly #typeCast: true | TypeCast;
  /** What the next statement is sent together with. */
  #first: string | undefined;
  /** What the server has said with the last statement that yielded no rows, alone or in a script. */
  #header: ResultSetHeader | undefined;

  constructor(client: Queryable, scriptBytes = 0) {
    this.client = client;
    this.#typeCast = readsOtherwise(client) ? castNumber : true;
    this.#scriptBytes = scriptBytes;
  }

  /** Whether a transaction was open after the last statement that yielded no rows. */
  get isBegun(): boolean {
    return this.#header !== undefined && isBegunAfter(this.#header);
  }

  /** How many rows the statement found or wrote. */
  async run(sql: string, ...values: readonly Value[]): Promise<number> {
    return (await this.write(sql, ...values)).affectedRows;
  }

  /** What the server says of a statement that yields no rows. */
  async write(sql: string, ...values: readonly Value[]): Promise<ResultSetHeader> {
    return asHeader(await this.#query(withValues(sql, values)));
  }

  async get(sql: string, ...values: readonly Value[]): Promise<unknown> {
    return (await this.all(sql, ...values))[0];
  }

  async all(sql: string, ...values: readonly Value[]): Promise<readonly unknown[]> {
    return asRows(await this.#query(withValues(sql, values)));
  }

  /** The one number that a query yields. */
  async number(sql: string, ...values: readonly Value[]): Promise<number> {
    return decodeNumber(await this.get(sql, ...values), sql);
  }

  /** Several statements that are one text, on a connection that takes them; what each of them yields. */
  async results(sql: string, ...values: readonly Value[]): Promise<readonly (readonly unknown[])[]> {
    return asResults(await this.#query(withValues(sql, values)));
  }

  /** Several statements that yield no rows, one after the other, and in one round trip where that is possible. */
  async writeAll(statements: readonly Statement[]): Promise<readonly ResultSetHeader[]> {
    const texts = statements.map(({ sql, values }) => withValues(sql, values));
    const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0);
    if (texts.length > 1 && bytes <= this.#scriptBytes) return asHeaders(await this.#query(texts.join(";")));
    const headers: ResultSetHeader[] = [];
    for (const text of texts) headers.push(asHeader(await this.#query(text)));
    return headers;
  }

  /** A statement without values that yields no rows. */
  async script(sql: string): Promise<ResultSetHeader> {
    return asHeader(await this.#query(sql));
  }

  /** As `script`, in one round trip with the statement that comes next where that is possible. */
  async scriptBefore(sql: string): Promise<void> {
    if (this.#scriptBytes === 0) await this.script(sql);
    else this.#first = sql;
  }

  /** Takes note that a statement is about to be sent. */
  asks(): void {
    this.idledMs = performance.now() - this.answeredAt;
  }

  /** With options that the application may have set otherwise for its own queries. */
  async #query(sql: string): Promise<unknown> {
    const first = this.#first;
    this.#first = undefined;
    const text = first === undefined ? sql : `${first};${sql}`;
    this.asks();
    const [result] = await this.client.query({
      sql: text,
      rowsAsArray: false,
      nestTables: false,
      typeCast: this.#typeCast,
    });
    this.answeredAt = performance.now();
    this.#header = (Array.isArray(result) ? result.findLast(isHeader) : asHeader(result)) ?? this.#header;
    if (first === undefined) return result;
    const rest = asResults(result).slice(1);
    return rest.length === 1 ? rest[0] : rest;
  }
}

/**
 * What the driver can be told for all queries, and takes back for one by a function only: numbers as text, and a function
 * for the values, which takes the place of anything that is none. Of what only looks like a connection nobody knows.
 */
function readsOtherwise(client: Queryable): boolean {
  if (!("config" in client)) return true;
  const { supportBigNumbers, bigNumberStrings, typeCast } = asConfig(client.config);
  return typeof typeCast === "function" || (supportBigNumbers === true && bigNumberStrings === true);
}

function asConfig(config: unknown): ConnectionOptions {
  return config as ConnectionOptions;
}

const castNumber: TypeCast = (field, next) => {
  if (field.type !== "LONGLONG") return next();
  const text = field.string();
  return text === null ? null : Number(text);
};

type TypeCast = (
  field: { readonly type: string; readonly string: () => string | null },
  next: () => unknown,
) => unknown;

/** A statement with its values. */
export interface Statement {
  readonly sql: string;
  readonly values: readonly Value[];
}

/** What a statement takes. Truth is 0 and 1. */
export type Value = string | number | bigint | boolean | Uint8Array | Text | null | undefined;

/** A part of a statement that is written already: a list of values, rows, conditions. */
class Text {
  readonly sql: string;

  constructor(sql: string) {
    this.sql = sql;
  }
}

/** For `in $1`. An empty list, which SQL does not have, is one that nothing is in. */
export function list(values: readonly Value[]): Text {
  return new Text(values.length === 0 ? "(null)" : `(${values.map(literal).join(",")})`);
}

/** For `values $1`. At least one row. */
export function rows(values: readonly (readonly Value[])[]): Text {
  return new Text(values.map((row) => `(${row.map(literal).join(",")})`).join(","));
}

/**
 * For `where $1`: any of the rows' values in these columns, or in a list for one of them. Not `(a, b) in (…)`, for which
 * MariaDB uses no index. Columns are names of ours.
 */
export function anyOf(columns: readonly string[], values: readonly (readonly Value[])[]): Text {
  const alternatives = values.map(
    (row) => `(${columns.map((column, index) => comparison(column, row[index])).join(" and ")})`,
  );
  return new Text(alternatives.length === 0 ? "false" : `(${alternatives.join(" or ")})`);
}

/** For `and $1`: each of the columns has its value, or one of its list. Columns are expressions of ours. */
export function allOf(conditions: readonly { readonly column: string; readonly value: Value }[]): Text {
  if (conditions.length === 0) return new Text("true");
  return new Text(conditions.map(({ column, value }) => comparison(column, value)).join(" and "));
}

function comparison(column: string, value: Value): string {
  return `${column} ${value instanceof Text ? "in" : "="} ${literal(value)}`;
}

/** An expression of ours in the place of a value. */
export function expression(sql: string): Text {
  return new Text(sql);
}

/** A query of ours in the place of a value. */
export function subquery(sql: string, ...values: readonly Value[]): Text {
  return new Text(`(${withValues(sql, values)})`);
}

/** How long a part of a statement is, on its way to the server. */
export function bytesOf({ sql }: Text): number {
  return Buffer.byteLength(sql);
}

/** As many statements as some stores have between them. */
const STATEMENTS_KEPT = 2_000;

/** A statement between its values. */
const partsOf = keepingLast(STATEMENTS_KEPT, (sql): readonly string[] => sql.split(/\$(\d+)/));

function withValues(sql: string, values: readonly Value[]): string {
  if (values.length === 0) return sql;
  return partsOf(sql)
    .map((part, index) => (index % 2 === 0 ? part : literal(values[Number(part) - 1])))
    .join("");
}

function literal(value: Value): string {
  if (typeof value === "string") return quotedText(value);
  if (value === null || value === undefined) return "null";
  if (typeof value === "number") return numeral(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "boolean") return value ? "1" : "0";
  return value instanceof Text ? value.sql : escape(value);
}

/** No other characters have a meaning inside of quotes. The driver would escape the quotes of JSON as well. */
function quotedText(text: string): string {
  const unescaped = text.includes("\\") ? text.replaceAll("\\", "\\\\") : text;
  return `'${unescaped.includes("'") ? unescaped.replaceAll("'", "''") : unescaped}'`;
}

function numeral(value: number): string {
  if (Number.isFinite(value)) return String(value);
  // No row has such a number.
  return "null";
}

function asHeader(result: unknown): ResultSetHeader {
  return result as ResultSetHeader;
}

/** What a statement that yields no rows is answered with. */
export function isHeader(result: unknown): result is ResultSetHeader {
  return typeof result === "object" && result !== null && "serverStatus" in result;
}

function asHeaders(result: unknown): readonly ResultSetHeader[] {
  return result as readonly ResultSetHeader[];
}

function asRows(result: unknown): readonly unknown[] {
  return result as readonly unknown[];
}

function asResults(result: unknown): readonly (readonly unknown[])[] {
  return result as readonly (readonly unknown[])[];
}

/** Bits of what the server says after each statement that yields no rows. */
const [IN_TRANSACTION, AUTOCOMMIT, NO_BACKSLASH_ESCAPES] = [1, 2, 0x0200];

/** Whether a transaction is open after the statement: one was begun, or the next statement begins one. */
export function isOpenAfter({ serverStatus }: Pick<ResultSetHeader, "serverStatus">): boolean {
  return (serverStatus & IN_TRANSACTION) !== 0 || (serverStatus & AUTOCOMMIT) === 0;
}

/** Whether a transaction was begun that has not ended. */
export function isBegunAfter({ serverStatus }: Pick<ResultSetHeader, "serverStatus">): boolean {
  return (serverStatus & IN_TRANSACTION) !== 0;
}

/** The same where a transaction of ours was lent: and autocommit is still off. */
export function isOnlyBegunAfter({ serverStatus }: Pick<ResultSetHeader, "serverStatus">): boolean {
  return (serverStatus & (IN_TRANSACTION | AUTOCOMMIT)) === IN_TRANSACTION;
}

/** Whether texts in statements are what this file takes them for. */
export function takesBackslashes(serverStatus: number): boolean {
  return (serverStatus & NO_BACKSLASH_ESCAPES) === 0;
}

import { randomUUID } from "node:crypto";
import { realpathSync } from "node:fs";
import { decodeNumber } from "@tidemark/sql-kit";
import Sqlite, { type Database, type RunResult, type Statement } from "better-sqlite3";
import { translate, unusable } from "./errors.ts";

/** A database handle with its prepared statements. */
export class Connection {
  readonly db: Database;
  readonly #prepared = new Map<string, Statement>();

  constructor(db: Database) {
    this.db = db;
  }

  /** For messages. */
  get file(): string {
    return this.db.name;
  }

  run(sql: string, ...values: readonly unknown[]): RunResult {
    return this.prepare(sql).run(...values);
  }

  get(sql: string, ...values: readonly unknown[]): unknown {
    return this.prepare(sql).get(...values);
  }

  all(sql: string, ...values: readonly unknown[]): readonly unknown[] {
    return this.prepare(sql).all(...values);
  }

  /** Row by row. To stop early is to be rid of the rest; until then the connection can only read. */
  iterate(sql: string, ...values: readonly unknown[]): IterableIterator<unknown> {
    return this.prepare(sql).iterate(...values);
  }

  /** The one number that a query yields. */
  number(sql: string, ...values: readonly unknown[]): number {
    return decodeNumber(this.get(sql, ...values), sql);
  }

  /** The statement, prepared once. Numbers are JavaScript numbers, whatever the default of a borrowed handle is. */
  prepare(sql: string): Statement {
    const known = this.#prepared.get(sql);
    if (known !== undefined) return known;
    const statement = this.db.prepare(sql).safeIntegers(false);
    this.#prepared.set(sql, statement);
    return statement;
  }
}

/**
 * Opens a connection of our own. It never waits for a lock by itself, because the driver would wait with the event
 * loop standing still; sessions wait instead.
 */
export function connect(file: string): Connection {
  try {
    return new Connection(new Sqlite(file, { timeout: 0 }));
  } catch (error) {
    const translated = translate(error, file);
    if (translated !== error) throw translated;
    throw unusable(`The file ${file} cannot be opened. Its folder must exist and be writable.`, error);
  }
}

/** The absolute path of a database handle's file: the handle's own name may be relative to another folder by now. */
export function pathOf(db: Database): string {
  const path = db.prepare("select file from pragma_database_list where name = 'main'").pluck().get();
  return typeof path === "string" ? path : db.name;
}

const namesInMemory = new WeakMap<Database, string>();

/** Names what a transaction on the handle locks: the file, whichever path led to it, or the one database in memory. */
export function lockOf(db: Database): string {
  if (!db.memory) return realpathSync(pathOf(db));
  const known = namesInMemory.get(db);
  if (known !== undefined) return known;
  const name = randomUUID();
  namesInMemory.set(db, name);
  return name;
}

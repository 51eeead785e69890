import type { BackupMetadata, Database, RunResult, Statement } from "better-sqlite3";
import { outlasting } from "./errors.ts";
import { refuseSettings } from "./lent-pragmas.ts";

/** What decides whether the borrower may still do what it asks for. */
export interface Loan {
  readonly tx: Database;
  readonly isOpen: boolean;
  guard<T>(call: () => T): T;
  track(iterator: IterableIterator<unknown>): IterableIterator<unknown>;
}

/**
 * `db` as a borrower sees it: the same methods, refused once the loan is over. A cast, because the driver's types are
 * generic in ways that a class cannot state.
 */
export function lendDatabase(db: Database, loan: Loan): Database {
  return new LentDatabase(db, loan) as unknown as Database;
}

type Plain = Omit<Database, "prepare" | "transaction" | "function" | "aggregate" | keyof Refused>;

/** What would outlive the transaction. */
interface Refused {
  close(): never;
  backup(): Promise<BackupMetadata>;
  defaultSafeIntegers(): never;
  loadExtension(): never;
  unsafeMode(): never;
}

class LentDatabase implements Plain, Refused {
  readonly #loan: Loan;
  readonly #db: Database;

  constructor(db: Database, loan: Loan) {
    this.#db = db;
    this.#loan = loan;
  }

  get name(): string {
    return this.#db.name;
  }

  get memory(): boolean {
    return this.#db.memory;
  }

  get readonly(): boolean {
    return this.#db.readonly;
  }

  get open(): boolean {
    return this.#loan.isOpen && this.#db.open;
  }

  get inTransaction(): boolean {
    return this.#loan.isOpen && this.#db.inTransaction;
  }

  prepare(source: string): LentStatement {
    refuseSettings(source);
    return new LentStatement(
      this.#loan,
      this.#loan.guard(() => this.#db.prepare(source)),
    );
  }

  exec(source: string): Database {
    refuseSettings(source);
    this.#loan.guard(() => this.#db.exec(source));
    return this.#loan.tx;
  }

  pragma(...args: Parameters<Database["pragma"]>): unknown {
    refuseSettings(`pragma ${args[0]}`);
    return this.#loan.guard(() => this.#db.pragma(...args));
  }

  /** A savepoint of the driver's, because the transaction is open. */
  transaction(work: (...args: unknown[]) => unknown): unknown {
    const variants = this.#loan.guard(() => this.#db.transaction(work));
    const guarded =
      (variant: (...args: unknown[]) => unknown) =>
      (...args: unknown[]): unknown =>
        this.#loan.guard(() => variant(...args));
    return Object.assign(guarded(variants), {
      default: guarded((...args) => variants.default(...args)),
      deferred: guarded((...args) => variants.deferred(...args)),
      immediate: guarded((...args) => variants.immediate(...args)),
      exclusive: guarded((...args) => variants.exclusive(...args)),
    });
  }

  function(...args: Parameters<Database["function"]>): Database {
    this.#loan.guard(() => this.#db.function(...args));
    return this.#loan.tx;
  }

  aggregate(...args: Parameters<Database["aggregate"]>): Database {
    this.#loan.guard(() => this.#db.aggregate(...args));
    return this.#loan.tx;
  }

  table(...args: Parameters<Database["table"]>): Database {
    this.#loan.guard(() => this.#db.table(...args));
    return this.#loan.tx;
  }

  serialize(...args: Parameters<Database["serialize"]>): Buffer {
    return this.#loan.guard(() => this.#db.serialize(...args));
  }

  close(): never {
    throw outlasting("close");
  }

  backup(): Promise<BackupMetadata> {
    return Promise.reject(outlasting("backup"));
  }

  defaultSafeIntegers(): never {
    throw outlasting("defaultSafeIntegers");
  }

  loadExtension(): never {
    throw outlasting("loadExtension");
  }

  unsafeMode(): never {
    throw outlasting("unsafeMode");
  }
}

class LentStatement implements Statement {
  readonly #loan: Loan;
  readonly #statement: Statement;

  constructor(loan: Loan, statement: Statement) {
    this.#loan = loan;
    this.#statement = statement;
  }

  get database(): Database {
    return this.#loan.tx;
  }

  get source(): string {
    return this.#statement.source;
  }

  get reader(): boolean {
    return this.#statement.reader;
  }

  get readonly(): boolean {
    return this.#statement.readonly;
  }

  get busy(): boolean {
    return this.#statement.busy;
  }

  run(...values: unknown[]): RunResult {
    return this.#loan.guard(() => this.#statement.run(...values));
  }

  get(...values: unknown[]): unknown {
    return this.#loan.guard(() => this.#statement.get(...values));
  }

  all(...values: unknown[]): unknown[] {
    return this.#loan.guard(() => this.#statement.all(...values));
  }

  iterate(...values: unknown[]): IterableIterator<unknown> {
    return this.#loan.track(this.#loan.guard(() => this.#statement.iterate(...values)));
  }

  columns(): ReturnType<Statement["columns"]> {
    return this.#loan.guard(() => this.#statement.columns());
  }

  bind(...values: unknown[]): this {
    this.#loan.guard(() => this.#statement.bind(...values));
    return this;
  }

  pluck(toggle = true): this {
    this.#loan.guard(() => this.#statement.pluck(toggle));
    return this;
  }

  expand(toggle = true): this {
    this.#loan.guard(() => this.#statement.expand(toggle));
    return this;
  }

  raw(toggle = true): this {
    this.#loan.guard(() => this.#statement.raw(toggle));
    return this;
  }

  safeIntegers(toggle = true): this {
    this.#loan.guard(() => this.#statement.safeIntegers(toggle));
    return this;
  }
}

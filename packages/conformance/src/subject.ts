import type { Capabilities } from "@tidemark/core";
import type { Adapter } from "@tidemark/core/spi";

/** An adapter as the suite sees it: how to make databases for it, and how to reach behind its back. */
export interface Subject<Tx> {
  /** For test names and reports: "sqlite, custom prefix". */
  readonly name: string;
  /** The constant that the adapter exports. */
  readonly capabilities: Capabilities;
  /** A fresh, empty database, which no other law uses. */
  create(): Promise<TestDatabase<Tx>>;
}

/** One database, and everything that laws do to it beside the store. */
export interface TestDatabase<Tx> {
  /** An adapter on this database with connections of its own. Called again, it is a second client of the same data. */
  adapter(): Adapter<Tx>;
  /** An application's own table in this database: text by text. */
  readonly effects: Effects<Tx>;
  /** Begins a transaction without the library's help, on a connection of its own. */
  begin(): Promise<RawTransaction<Tx>>;
  /** Makes the stored schema version one older, or one newer, than the adapter knows. Absent where nothing is stored. */
  readonly schema?: { older(): Promise<void>; newer(): Promise<void> } | undefined;
  /**
   * How another process reaches this database: a module, by URL, that exports `openDatabase(config)`, returning a
   * `TestDatabase`. Absent without capability `shared`.
   */
  readonly process?: { readonly module: string; readonly config: unknown } | undefined;
  /** Closes and removes everything. */
  drop(): Promise<void>;
}

export interface Effects<Tx> {
  /** Creates or replaces a row, through a transaction. */
  write(tx: Tx, key: string, value: string): Promise<void>;
  /** The committed value of a row, read beside all transactions. */
  read(key: string): Promise<string | undefined>;
  /**
   * Makes a statement of the application fail inside its transaction, the way a constraint does. The promise rejects
   * with the driver's own error; a handler may catch it.
   */
  fail(tx: Tx): Promise<void>;
  /** Makes a table of the application's own, by a statement of the transaction. */
  define(tx: Tx, table: string): Promise<void>;
  /** Whether the table is there, read beside all transactions. */
  defined(table: string): Promise<boolean>;
  /** Ends the transaction behind the library's back. Where handles forbid it, the promise rejects. */
  end(tx: Tx, how: "commit" | "rollback"): Promise<void>;
}

export interface RawTransaction<Tx> {
  readonly tx: Tx;
  commit(): Promise<void>;
  rollback(): Promise<void>;
  /** Sets a savepoint; what it resolves with rolls back to it. Absent where transactions have none. */
  savepoint?(): Promise<() => Promise<void>>;
  /** Ends the connection without a word, as a killed client does. */
  kill(): Promise<void>;
}

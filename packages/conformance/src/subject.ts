import type { Capabilities } from "@tidemark/core";
import type { Adapter } from "@tidemark/core/spi";

/** An adapter as the suite sees it: how to make databases for it, and how to reach behind its back. */
export interface Subject<Tx> {
  /** For test names and reports: "sqlite, custom prefix". */
  readonly name: string;
  /** The constant that the adapter exports. */
  readonly capabilities: Capabilities;
  /**
   * Whether adapters reach the database over connections of a pool, which can be lost and can be taken: a server. Laws
   * about servers speak of this subject if so, and its databases need the hook `line`; if not, reports say that these
   * laws do not apply. Said by every subject, so that no hook is left out unnoticed.
   */
  readonly server: boolean;
  /** A fresh, empty database, which no other law uses. */
  create(): Promise<TestDatabase<Tx>>;
}

/** One database, and everything that laws do to it beside the store. */
export interface TestDatabase<Tx> {
  /** An adapter on this database with connections of its own. Called again, it is a second client of the same data. */
  adapter(options?: AdapterOptions): Adapter<Tx>;
  /** An adapter that is lent something of the application's, as applications do it: a pool, a handle, a database. */
  borrow(): Promise<Borrowed<Tx>>;
  /**
   * Opens a line to the server, beside the direct connections of all other hooks. Absent without a server. Closed with
   * the database. `@tidemark/test-servers/proxy` shows how it can be done.
   */
  readonly line?: (() => Promise<Line<Tx>>) | undefined;
  /** An application's own table in this database: text by text. */
  readonly effects: Effects<Tx>;
  /** Begins a transaction without the library's help, on a connection of its own. */
  begin(): Promise<RawTransaction<Tx>>;
  /** What laws do to the stored schema. Absent where nothing is stored. */
  readonly schema?: SchemaHooks | undefined;
  /**
   * How another process reaches this database: a module, by URL, that exports `openDatabase(config)`, returning a
   * `TestDatabase`. Absent without capability `shared`.
   */
  readonly process?: { readonly module: string; readonly config: unknown } | undefined;
  /** Closes and removes everything. */
  drop(): Promise<void>;
}

/** Asked for by laws about servers only; adapters without a pool need not look at it. */
export interface AdapterOptions {
  /** So many connections in the pool. Default: more than any law needs. */
  readonly connections?: number | undefined;
  /** How long a call waits for a connection at most, in milliseconds. Default: the adapter's own. */
  readonly waitMs?: number | undefined;
}

export interface Borrowed<Tx> {
  readonly adapter: Adapter<Tx>;
  /** Uses what was lent without the library, as its owner does. Rejects when it was closed. */
  use(): Promise<void>;
  /** Closes what was lent, as its owner does in the end. */
  end(): Promise<void>;
}

/** A way to the server that breaks when a law says so. */
export interface Line<Tx> {
  /** As `TestDatabase.adapter`, with all of its connections over this line. */
  adapter(options?: AdapterOptions): Adapter<Tx>;
  /** From now on the database cannot be reached over this line: connections are cut, new ones are refused. */
  cut(): Promise<void>;
  /** It can be reached again. */
  mend(): Promise<void>;
  /**
   * The next transaction over this line that sends `text` (letters, digits and hyphens) to the database is committed
   * there, and its connection is cut before the answer to the commit arrives. So is a statement that commits by itself.
   */
  loseAcknowledgement(text: string): Promise<{ readonly isLost: boolean }>;
}

export interface SchemaHooks {
  /** Makes the stored version one older than the adapter knows. */
  older(): Promise<void>;
  /** Makes the stored version one newer than the adapter knows. */
  newer(): Promise<void>;
  /** Removes the schema from a database that no store has opened yet. Absent where `create` never leaves one there. */
  missing?(): Promise<void>;
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

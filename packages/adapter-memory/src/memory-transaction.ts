import { isTidemarkError, type TidemarkError } from "@tidemark/core";
import { abortable, type Operation } from "@tidemark/core/spi";
import { transactionEnded } from "./errors.ts";
import type { LockOwner, RowLock } from "./locks.ts";
import type { Table } from "./table.ts";

/**
 * A transaction on a memory database: lent to handlers, or begun by you with `database.begin()`. It sees what others
 * have committed and what it has written itself; nobody sees what it writes until it commits. Once it is over, every
 * call rejects with TRANSACTION_ENDED.
 */
export interface MemoryTransaction {
  /** A table of your own. It need not be made: it is there as soon as it has a row, and gone with its last one. */
  table<Row>(name: string): MemoryTable<Row>;
  /** Makes everything written visible at once. Not for a transaction that was lent to you: that is detected. */
  commit(): Promise<void>;
  /** Forgets everything written. Does nothing when it is rolled back already. */
  rollback(): Promise<void>;
}

/** Rows by key, to be read. They are copied out by `structuredClone`. */
export interface MemoryRows<Row> {
  get(key: string): Promise<Row | undefined>;
  /** A copy of the whole table: what fits into memory once fits twice. */
  entries(): Promise<ReadonlyMap<string, Row>>;
}

/**
 * Rows by key, in a transaction. They are copied in and out by `structuredClone`. Writing locks the row until the
 * transaction ends; who wants it meanwhile waits its turn. A circle of waiting transactions is broken at once: the one
 * that would close it is rolled back with CONTENTION, which is transient.
 */
export interface MemoryTable<Row> extends MemoryRows<Row> {
  set(key: string, row: Row, op?: Operation): Promise<void>;
  delete(key: string, op?: Operation): Promise<void>;
  /** Locks the row, then reads it, then writes what `change` makes of it: so no change of others is lost. */
  update(key: string, change: (row: Row | undefined) => Row | undefined, op?: Operation): Promise<void>;
}

/** What has a share in a transaction: a table, the log. */
interface Participant {
  end(transaction: Transaction, outcome: "committed" | "rolled-back"): void;
}

export class Transaction implements MemoryTransaction, LockOwner {
  /** The log of the database that it was begun on. */
  readonly logId: string;
  waitsFor: RowLock | undefined;
  readonly #tableNamed: (name: string) => Table<unknown>;
  readonly #participants = new Set<Participant>();
  #state: "open" | "committed" | "rolled-back" = "open";
  /** The statement that waits for a row. */
  #statement: Promise<void> | undefined;
  #victim: TidemarkError<"CONTENTION"> | undefined;

  constructor(logId: string, tableNamed: (name: string) => Table<unknown>) {
    this.logId = logId;
    this.#tableNamed = tableNamed;
  }

  get state(): "open" | "committed" | "rolled-back" {
    return this.#state;
  }

  /** Throws what there is to say about a transaction that is over. */
  check(): void {
    if (this.#state !== "open") throw this.#victim ?? transactionEnded();
  }

  /** Takes part in how this transaction ends. */
  join(participant: Participant): void {
    this.check();
    this.#participants.add(participant);
  }

  /**
   * Locks a row to the end of the transaction, waiting for whoever has it locked. One statement at a time, as on a
   * connection: who asks while another statement of this transaction waits, asks after that one.
   */
  async lock<Row>(table: Table<Row>, key: string, op: Operation = {}): Promise<void> {
    while (this.#statement !== undefined) await abortable(this.#statement, op.signal);
    if (this.tryLock(table, key)) return;
    const waiting = table.lock(key, this, op);
    this.#statement = waiting.catch(() => undefined);
    try {
      await waiting;
    } catch (error) {
      // A victim gives its locks back at once, whatever its owner makes of the error.
      if (isTidemarkError(error, "CONTENTION")) {
        this.#victim = error;
        this.end("rolled-back");
      }
      throw error;
    } finally {
      this.#statement = undefined;
    }
    // It may have ended between the grant and this line.
    this.check();
  }

  /** Locks a row unless another transaction has it locked. */
  tryLock<Row>(table: Table<Row>, key: string): boolean {
    this.join(table);
    return table.tryLock(key, this);
  }

  /** All in one tick: nobody sees half of a commit. */
  end(outcome: "committed" | "rolled-back"): void {
    this.check();
    this.#state = outcome;
    for (const participant of this.#participants) participant.end(this, outcome);
  }

  async commit(): Promise<void> {
    this.end("committed");
  }

  async rollback(): Promise<void> {
    if (this.#state !== "rolled-back") this.end("rolled-back");
  }

  table<Row>(name: string): MemoryTable<Row> {
    const table = this.#tableNamed(name);
    const rows = typedRows<Row>(table, this);
    const lock = (key: string, op: Operation | undefined): Promise<void> => this.lock(table, key, op);
    return {
      get: async (key) => {
        this.check();
        return rows.get(key);
      },
      entries: async () => {
        this.check();
        return rows.entries();
      },
      set: async (key, row, op) => {
        // Copied before the wait for the lock: what the caller does to it meanwhile does not count.
        const copy = structuredClone(row);
        await lock(key, op);
        table.set(key, copy, this);
      },
      delete: async (key, op) => {
        await lock(key, op);
        table.set(key, undefined, this);
      },
      update: async (key, change, op) => {
        await lock(key, op);
        table.set(key, structuredClone(change(rows.get(key))), this);
      },
    };
  }
}

/** Copies of a table's rows, as what the caller says that they are: nobody else knows. */
export function typedRows<Row>(table: Table<unknown>, transaction?: Transaction): CopiedRows<Row> {
  return {
    get: (key) => structuredClone(table.get(key, transaction)) as Row | undefined,
    entries: () => structuredClone(table.entries(transaction)) as ReadonlyMap<string, Row>,
  };
}

interface CopiedRows<Row> {
  get(key: string): Row | undefined;
  entries(): ReadonlyMap<string, Row>;
}

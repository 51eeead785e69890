import { type Operation, throwIfAborted, type TransactionPort } from "@tidemark/core/spi";
import type { Database } from "better-sqlite3";
import { appendUnits } from "./append.ts";
import { createCompletionPort } from "./completions.ts";
import { Connection } from "./connection.ts";
import { moveCheckpoint, readSegment } from "./consumers.ts";
import { createLetterPort } from "./dead-letters.ts";
import { createDeadlinePort } from "./deadlines.ts";
import { busy, isBusy, otherLog, transactionRequired, translate } from "./errors.ts";
import { createIdentityPort } from "./identities.ts";
import type { Lent } from "./lent.ts";
import { createPackPort } from "./packs.ts";
import { readAggregatePage, readEventIdPage } from "./read.ts";
import { createSagaPort } from "./sagas.ts";
import { missingSchema } from "./schema.ts";
import { type OpenSession, pause } from "./session.ts";
import { createSnapshotPort } from "./snapshots.ts";
import type { Statements } from "./statements.ts";

/** What a port needs to know of the transaction that it works in. */
export interface OpenTransaction {
  readonly isOpen: () => boolean;
  /** The connection to work on, once it is certain that the transaction is open on it. */
  readonly enter: (op: Operation, intent: "read" | "write") => Promise<Connection>;
  /** Throws TRANSACTION_ENDED when it is another transaction by now. */
  readonly verify: () => void;
}

export function createPort(open: OpenTransaction, sql: Statements): TransactionPort {
  async function run<T>(op: Operation, intent: "read" | "write", work: (connection: Connection) => T): Promise<T> {
    throwIfAborted(op.signal);
    const connection = await open.enter(op, intent);
    try {
      return work(connection);
    } catch (error) {
      throw translate(error, connection.file);
    }
  }

  const session: OpenSession = {
    read: (op, work) => run(op, "read", work),
    write: (op, work) => run(op, "write", (connection) => wholly(connection, sql, () => work(connection))),
  };

  return {
    isOpen: open.isOpen,
    appendBatch: (units, op) => session.write(op, (connection) => appendUnits(connection, sql, units, op)),
    readAggregate: (query, op) => session.read(op, (connection) => readAggregatePage(connection, sql, query)),
    readEventsById: (query, op) => session.read(op, (connection) => readEventIdPage(connection, sql, query)),
    segment: (key, op) => session.read(op, (connection) => readSegment(connection, sql, key)),
    // Not wholly: the lent transaction's mark is beneath a savepoint that would be set now, and could not be probed.
    fence: (fence, op) =>
      run(op, "write", (connection) => {
        open.verify();
        return moveCheckpoint(connection, sql, fence);
      }),
    sagas: createSagaPort(session, sql),
    deadlines: createDeadlinePort(session, sql),
    deadLetters: createLetterPort(session, sql),
    completions: createCompletionPort(session, sql),
    snapshots: createSnapshotPort(session, sql),
    identities: createIdentityPort(session, sql),
    packs: createPackPort(session, sql),
  };
}

/** A transaction that `Adapter.transaction` has lent. */
export function lentTransaction(lent: Lent): OpenTransaction {
  return {
    isOpen: () => lent.isOpen,
    enter: async (_op, intent) => {
      lent.check();
      if (intent === "write") lent.closeIterators();
      return lent.connection;
    },
    verify: () => lent.verify(),
  };
}

export interface OwnerParts {
  readonly sql: Statements;
  readonly waitMs: number;
  readonly logId: () => string;
}

/** Connections to handles of callers, with their prepared statements. */
export class CallersTransactions {
  readonly #parts: OwnerParts;
  readonly #connections = new WeakMap<Database, Connection>();
  readonly #verified = new WeakSet<Database>();

  constructor(parts: OwnerParts) {
    this.#parts = parts;
  }

  /**
   * A transaction that the caller has begun on a handle of its own. Whether it is still the same one is not asked of
   * SQLite: the only question that SQLite answers is to release a savepoint, which would release those that the caller
   * has set since. So a transaction counts as over once anybody here has seen the handle without one.
   */
  open(handle: Database): OpenTransaction {
    let used: number | undefined;
    return {
      isOpen: () => used !== undefined && openSerial(handle) === used,
      enter: async (op, intent) => {
        const connection = this.#connect(handle);
        used = requireTransaction(handle);
        if (intent === "write") await this.#lock(connection, op);
        this.#refuseOtherLog(connection);
        return connection;
      },
      verify: () => void requireTransaction(handle),
    };
  }

  #connect(handle: Database): Connection {
    const known = this.#connections.get(handle);
    if (known !== undefined) return known;
    const connection = new Connection(handle);
    this.#connections.set(handle, connection);
    return connection;
  }

  /** Waits while another connection writes, with the event loop free in between. */
  async #lock(connection: Connection, op: Operation): Promise<void> {
    const { sql, waitMs } = this.#parts;
    const since = performance.now();
    for (let attempt = 0; ; attempt++) {
      requireTransaction(connection.db);
      try {
        withoutBusyTimeout(connection.db, () => connection.run(sql.takeWriteLock));
        return;
      } catch (error) {
        if (!isBusy(error)) throw isMissingTable(error) ? missingSchema() : translate(error, connection.file);
        const waitedMs = performance.now() - since;
        if (waitedMs >= waitMs) throw busy(waitedMs, error);
      }
      await pause(attempt, op.signal);
    }
  }

  #refuseOtherLog(connection: Connection): void {
    if (this.#verified.has(connection.db)) return;
    const { sql, logId } = this.#parts;
    const given = readLogId(connection, sql);
    if (given !== logId()) throw otherLog(logId(), given);
    this.#verified.add(connection.db);
  }
}

/** The log's identity. Throws SCHEMA_MISMATCH where there is no log. */
export function readLogId(connection: Connection, sql: Statements): string {
  try {
    const row = connection.get(sql.logId) as { readonly log_id: string } | undefined;
    if (row === undefined) throw missingSchema();
    return row.log_id;
  } catch (error) {
    throw isMissingTable(error) ? missingSchema() : translate(error, connection.file);
  }
}

/** All or nothing, also when a statement in the middle fails and the caller goes on with the transaction. */
function wholly<T>(connection: Connection, sql: Statements, work: () => T): T {
  connection.run(sql.savepoint);
  try {
    return work();
  } catch (error) {
    if (connection.db.inTransaction) connection.run(sql.rollbackToSavepoint);
    throw error;
  } finally {
    if (connection.db.inTransaction) connection.run(sql.releaseSavepoint);
  }
}

function requireTransaction(handle: Database): number {
  const serial = openSerial(handle);
  if (serial === undefined) throw transactionRequired();
  return serial;
}

/** Counts the transactions of handles, as far as anybody here sees one end. Shared by all stores of the process. */
const serials = new WeakMap<Database, number>();

/** Which transaction is open on the handle; undefined for none. */
function openSerial(handle: Database): number | undefined {
  const serial = serials.get(handle) ?? 0;
  if (handle.open && handle.inTransaction) return serial;
  serials.set(handle, serial + 1);
  return undefined;
}

/** The driver would wait with the event loop standing still, for five seconds unless the handle was opened otherwise. */
function withoutBusyTimeout(handle: Database, work: () => void): void {
  const timeout = Number(handle.pragma("busy_timeout", { simple: true }));
  if (timeout === 0) return work();
  handle.pragma("busy_timeout = 0");
  try {
    work();
  } finally {
    handle.pragma(`busy_timeout = ${timeout}`);
  }
}

function isMissingTable(error: unknown): boolean {
  return (
    error instanceof Error &&
    "code" in error &&
    error.code === "SQLITE_ERROR" &&
    error.message.startsWith("no such table")
  );
}

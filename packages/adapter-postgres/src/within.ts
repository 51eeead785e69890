import type { ClientBase } from "pg";
import { type Operation, throwIfAborted, type TransactionPort } from "@tidemark/core/spi";
import { appendUnits } from "./append.ts";
import { createCompletionPort } from "./completions.ts";
import { Connection, type Queryable, statusOf } from "./connection.ts";
import { moveCheckpoint, readSegment } from "./consumers.ts";
import { createLetterPort } from "./dead-letters.ts";
import { createDeadlinePort } from "./deadlines.ts";
import { isMissing, translate } from "./driver-errors.ts";
import { type ErrorContext, otherLog, transactionRequired } from "./errors.ts";
import { createIdentityPort } from "./identities.ts";
import type { Lent } from "./lent.ts";
import { createPackPort } from "./packs.ts";
import { readAggregatePage, readEventIdPage } from "./read.ts";
import { createSagaPort } from "./sagas.ts";
import { missingSchema } from "./schema.ts";
import type { OpenSession } from "./session.ts";
import { createSnapshotPort } from "./snapshots.ts";
import type { Statements } from "./statements.ts";

/** What a port needs to know of the transaction that it works in. */
export interface OpenTransaction {
  readonly isOpen: () => boolean;
  /** The connection to work on, once it is certain that the transaction is open on it. */
  readonly enter: () => Promise<Connection>;
  /** Of a lent transaction: the setting that dies with it. */
  readonly mark: string | undefined;
  readonly translate: (error: unknown) => unknown;
}

export interface PortParts {
  readonly sql: Statements;
  /** Whether positions come from the counter. */
  readonly counts: boolean;
  readonly onAppend?: (() => void) | undefined;
}

export function createPort(open: OpenTransaction, { sql, counts, onAppend }: PortParts): TransactionPort {
  async function run<T>(op: Operation, work: (connection: Connection) => Promise<T>): Promise<T> {
    throwIfAborted(op.signal);
    const connection = await open.enter();
    try {
      return await work(connection);
    } catch (error) {
      throw open.translate(error);
    }
  }

  const session: OpenSession = { read: run, write: run };

  return {
    isOpen: open.isOpen,
    appendBatch: async (units, op) => {
      const outcomes = await run(op, (connection) => appendUnits({ connection, sql, counts }, units, op));
      if (outcomes.some((outcome) => outcome.kind === "appended")) onAppend?.();
      return outcomes;
    },
    readAggregate: (query, op) => run(op, (connection) => readAggregatePage(connection, sql, query)),
    readEventsById: (query, op) => run(op, (connection) => readEventIdPage(connection, sql, query)),
    segment: (key, op) => run(op, (connection) => readSegment(connection, sql, key)),
    fence: (fence, op) => run(op, (connection) => moveCheckpoint(connection, sql, fence, open.mark)),
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
    enter: async () => {
      lent.check();
      return lent.guarded;
    },
    mark: lent.mark,
    translate: (error) => lent.checkout.translate(error),
  };
}

export interface OwnerParts {
  readonly sql: Statements;
  readonly prepare: boolean;
  readonly context: ErrorContext;
  readonly logId: () => string;
}

/** Transactions that callers have begun on clients of their own. */
export class CallersTransactions {
  readonly #parts: OwnerParts;
  /** Clients that are known to be connected to this log. */
  readonly #verified = new WeakSet<Queryable>();
  readonly #watched = new WeakSet<Queryable>();
  /** Clients whose connection is over; the last that they know of their transaction is that it is open. */
  readonly #gone = new WeakSet<Queryable>();

  constructor(parts: OwnerParts) {
    this.#parts = parts;
  }

  /**
   * Whether the transaction is open, a client of pg knows; of something else that runs statements as one does, the
   * server is asked before each call.
   */
  open(client: Queryable): OpenTransaction {
    const { prepare, context } = this.#parts;
    const connection = new Connection(client, prepare);
    this.#watch(client);
    return {
      isOpen: () => statusOf(client) === "T" && !this.#gone.has(client),
      enter: async () => {
        const status = statusOf(client);
        if (status === "I") throw transactionRequired();
        if (status === undefined || !this.#verified.has(client)) await this.#verify(connection);
        return connection;
      },
      mark: undefined,
      translate: (error) => translate(error, context),
    };
  }

  #watch(client: Queryable): void {
    if (this.#watched.has(client) || !("once" in client) || typeof client.once !== "function") return;
    this.#watched.add(client);
    asEmitter(client).once("end", () => void this.#gone.add(client));
  }

  async #verify(connection: Connection): Promise<void> {
    const { sql, logId } = this.#parts;
    const { open, log_id } = await this.#ask(connection, sql);
    if (!open) throw transactionRequired();
    if (log_id !== logId()) throw otherLog(logId(), log_id);
    this.#verified.add(connection.client);
  }

  /** By the simple protocol: in the other one, a transaction has begun before its first statement. */
  async #ask(connection: Connection, sql: Statements): Promise<Answer> {
    try {
      const results = await connection.script(sql.openTransaction);
      const row: unknown = results[0]?.rows[0];
      if (row === undefined) throw missingSchema();
      return row as Answer;
    } catch (error) {
      if (isMissing(error)) throw missingSchema();
      throw translate(error, this.#parts.context);
    }
  }
}

interface Answer {
  readonly open: boolean;
  readonly log_id: string;
}

function asEmitter(client: object): Pick<ClientBase, "once"> {
  return client as ClientBase;
}

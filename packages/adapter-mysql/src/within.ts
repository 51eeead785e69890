import type { Connection as CallbackConnection } from "mysql2";
import type { ResultSetHeader } from "mysql2/promise";
import { type Operation, throwIfAborted, type TransactionPort } from "@tidemark/core/spi";
import { appendUnits } from "./append.ts";
import { createCompletionPort } from "./completions.ts";
import { type CallbackQueryable, Connection, isOpenAfter, type Queryable } from "./connection.ts";
import { moveCheckpoint, readSegment } from "./consumers.ts";
import { createLetterPort } from "./dead-letters.ts";
import { createDeadlinePort } from "./deadlines.ts";
import { isMissing, translate } from "./driver-errors.ts";
import { type ErrorContext, otherLog, setOtherwise, transactionRequired } from "./errors.ts";
import { createIdentityPort } from "./identities.ts";
import type { AppendPlace, Registering } from "./insert.ts";
import type { Entered, Lent } from "./lent.ts";
import { createPackPort } from "./packs.ts";
import { checkFlags, type Profile, readProfile } from "./profile.ts";
import { readAggregatePage, readEventIdPage } from "./read.ts";
import { createSagaPort } from "./sagas.ts";
import { missingSchema } from "./schema.ts";
import type { OpenSession } from "./session.ts";
import { createSnapshotPort } from "./snapshots.ts";
import type { Statements } from "./statements.ts";
import { Turns } from "./turns.ts";

/** What a port needs to know of the transaction that it works in. */
export interface OpenTransaction {
  readonly isOpen: () => boolean;
  /** Whether its queries see everything that is committed; not in one whose isolation is the caller's choice. */
  readonly seesCommitted: boolean;
  readonly registers: Registering;
  /** Calls on the connection, one after the other: what an append takes back that has failed must be its own. */
  readonly turns: Turns;
  /** The connection to work on, once it is certain that the transaction is open on it. */
  readonly enter: () => Promise<Entered>;
  /** Throws TRANSACTION_ENDED unless it still is the transaction that was lent. */
  readonly verify: () => Promise<void>;
  readonly translate: (error: unknown) => unknown;
}

export interface PortParts {
  readonly sql: Statements;
  /** Whether positions come from the counter. */
  readonly counts: boolean;
  /** Runs a query outside of any transaction, which sees everything that is committed. */
  readonly committed: <T>(op: Operation, work: (connection: Connection) => Promise<T>) => Promise<T>;
}

export function createPort(open: OpenTransaction, { sql, counts, committed }: PortParts): TransactionPort {
  async function enter<T>(op: Operation, work: (entered: Entered) => Promise<T>): Promise<T> {
    throwIfAborted(op.signal);
    return open.turns.take(async () => {
      throwIfAborted(op.signal);
      try {
        return await work(await open.enter());
      } catch (error) {
        throw open.translate(error);
      }
    });
  }

  const run = <T>(op: Operation, work: (connection: Connection, profile: Profile) => Promise<T>): Promise<T> =>
    enter(op, ({ connection, profile }) => work(connection, profile));

  const session: OpenSession = { read: run, write: run };

  return {
    isOpen: open.isOpen,
    appendBatch: (units, op) =>
      enter(op, ({ connection, profile }) => {
        const now: AppendPlace["now"] = (work) => (open.seesCommitted ? work(connection) : committed(op, work));
        return appendUnits(
          { connection, profile, sql, counts, now, looks: false, registers: open.registers },
          units,
          op,
        );
      }),
    readAggregate: (query, op) => run(op, (connection) => readAggregatePage(connection, sql, query)),
    readEventsById: (query, op) => run(op, (connection) => readEventIdPage(connection, sql, query)),
    segment: (key, op) => run(op, (connection) => readSegment(connection, sql, key)),
    fence: (fence, op) =>
      run(op, async (connection) => {
        await open.verify();
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
    seesCommitted: true,
    registers: { as: "lent", lent },
    turns: lent.turns,
    enter: () => lent.enter(),
    verify: () => lent.verify(),
    translate: (error) => {
      lent.observeFailure(error);
      return lent.checkout.translate(error);
    },
  };
}

export interface OwnerParts {
  readonly sql: Statements;
  /** Whether positions come from the counter. */
  readonly counts: boolean;
  readonly context: ErrorContext;
  readonly logId: () => string;
}

/** Transactions that callers have begun on connections of their own. */
export class CallersTransactions {
  readonly #parts: OwnerParts;
  /** How connections are set that are known to be connected to this log. */
  readonly #verified = new WeakMap<Queryable, Profile>();

  constructor(parts: OwnerParts) {
    this.#parts = parts;
  }

  /** The driver does not know whether a transaction is open, nor how the session is set: the server is asked before each call. */
  open(client: Queryable): OpenTransaction {
    const connection = new Connection(client);
    return {
      isOpen: () => false,
      seesCommitted: false,
      registers: { as: "caller" },
      turns: turnsOn(client),
      enter: async () => {
        await this.#require(connection);
        return { connection, profile: this.#verified.get(client) ?? (await this.#verify(connection)) };
      },
      verify: async () => undefined,
      translate: (error) => translate(error, this.#parts.context),
    };
  }

  async #require(connection: Connection): Promise<void> {
    const { sql, counts, context } = this.#parts;
    let header: ResultSetHeader;
    try {
      header = await connection.write(sql.checkSession, counts);
    } catch (error) {
      throw translate(error, context);
    }
    if (!isOpenAfter(header)) throw transactionRequired();
    if (header.warningStatus === 0) return;
    // Which of the settings it is, another look says.
    await this.#verify(connection);
    throw setOtherwise();
  }

  async #verify(connection: Connection): Promise<Profile> {
    const { sql, counts, logId, context } = this.#parts;
    checkFlags(connection.client, "within");
    try {
      const profile = await readProfile(connection, sql, counts);
      const row = await connection.get(sql.log);
      if (row === undefined) throw missingSchema();
      const { log_id } = row as { readonly log_id: string };
      if (log_id !== logId()) throw otherLog(logId(), log_id);
      this.#verified.set(connection.client, profile);
      return profile;
    } catch (error) {
      if (isMissing(error)) throw missingSchema();
      throw translate(error, context);
    }
  }
}

/** By the driver's connection, which may be wrapped anew each time. Shared by all stores of the process. */
const turns = new WeakMap<object, Turns>();

function turnsOn(client: Queryable): Turns {
  const key = "connection" in client && typeof client.connection === "object" ? (client.connection ?? client) : client;
  const known = turns.get(key);
  if (known !== undefined) return known;
  const made = new Turns();
  turns.set(key, made);
  return made;
}

/** The same connection with methods that return promises. */
export function asPromising(tx: Queryable | CallbackQueryable): Queryable {
  return isOfCallbacks(tx) ? asConnection(tx).promise() : tx;
}

function isOfCallbacks(tx: Queryable | CallbackQueryable): tx is CallbackQueryable {
  return "promise" in tx && typeof tx.promise === "function";
}

function asConnection(tx: CallbackQueryable): CallbackConnection {
  return tx as CallbackConnection;
}

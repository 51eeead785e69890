import { existsSync } from "node:fs";
import { type Adapter, type OpenedLog, type Operation, throwIfAborted } from "@tidemark/core/spi";
import type { Database } from "better-sqlite3";
import { appendUnits } from "./append.ts";
import { sqliteCapabilities, sqliteMemoryCapabilities } from "./capabilities.ts";
import { createClaimRecords } from "./claims.ts";
import { connect, Connection, lockOf, pathOf } from "./connection.ts";
import { createConsumerRecords } from "./consumers.ts";
import { createLetterRecords } from "./dead-letters.ts";
import { createDeadlineReader } from "./deadlines.ts";
import { invalidArgument, notOpen } from "./errors.ts";
import type { Lent } from "./lent.ts";
import { createIdentityRecords } from "./identities.ts";
import { createLayoutRecords } from "./layouts.ts";
import { createMemberRecords } from "./members.ts";
import { migrate, missingSchema, needsMigration } from "./schema.ts";
import { type ResolvedOptions, resolveOptions, type SqliteOptions } from "./options.ts";
import { createPackRecords } from "./packs.ts";
import { readAggregatePage, readEventIdPage, readHead, readLogPage, readPositionBefore } from "./read.ts";
import { createSagaReader } from "./sagas.ts";
import { Session, type Sessions } from "./session.ts";
import { createSnapshotRecords } from "./snapshots.ts";
import { createStatements, type Statements } from "./statements.ts";
import { runLent } from "./transaction.ts";
import { createVersionRecords } from "./versions.ts";
import { CallersTransactions, createPort, lentTransaction, readLogId } from "./within.ts";
import { createZoneRecords } from "./zones.ts";

/** An adapter for `openStore`; {@link createSqliteStore} is both in one. Does no I/O. Errors: INVALID_ARGUMENT. */
export function createSqliteAdapter(options: SqliteOptions): Adapter<Database> {
  const resolved = resolveOptions(options);
  const sql = createStatements(resolved.prefix);
  const connections = new Connections(resolved, sql);
  const sessions = (): Sessions => connections.sessions;
  const lentTransactions = new WeakMap<Database, Lent>();
  const callers = new CallersTransactions({ sql, waitMs: resolved.waitMs, logId: () => connections.logId });

  return {
    name: "sqlite",
    capabilities: resolved.lone ? sqliteMemoryCapabilities : sqliteCapabilities,
    lending: resolved.lone ? "blocks-all" : "blocks-writes",
    open: (schema, op) => connections.open(schema, op),
    appendBatch: (units, op) => sessions().writer.write(op, (connection) => appendUnits(connection, sql, units, op)),
    readAggregate: (query, op) => sessions().reader.read(op, (connection) => readAggregatePage(connection, sql, query)),
    readEventsById: (query, op) => sessions().reader.read(op, (connection) => readEventIdPage(connection, sql, query)),
    readAll: (query, op) => sessions().reader.read(op, (connection) => readLogPage(connection, sql, query)),
    head: (op) => sessions().reader.read(op, (connection) => readHead(connection, sql)),
    positionBefore: (time, op) => sessions().reader.read(op, (connection) => readPositionBefore(connection, sql, time)),
    // One writer at a time: what is visible is a prefix of the log, whoever writes.
    frontierHolders: async (op) => {
      throwIfAborted(op.signal);
      sessions();
      return [];
    },
    transaction: (work, op) =>
      sessions().writer.hold(op, (connection) =>
        runLent(connection, work, op, (lent) => void lentTransactions.set(lent.tx, lent)),
      ),
    within: (tx) => {
      const lent = lentTransactions.get(tx);
      return createPort(lent === undefined ? callers.open(checkHandle(tx)) : lentTransaction(lent), sql);
    },
    consumers: {
      ...createConsumerRecords(sessions, sql),
      ...createLayoutRecords(sessions, sql),
      ...createVersionRecords(sessions, sql),
    },
    zones: createZoneRecords(sessions, sql),
    sagas: createSagaReader(() => sessions().reader, sql),
    deadlines: createDeadlineReader(() => sessions().reader, sql),
    deadLetters: createLetterRecords(sessions, sql),
    claims: createClaimRecords(sessions, sql),
    members: createMemberRecords(sessions, sql),
    snapshots: createSnapshotRecords(sessions, sql),
    identities: createIdentityRecords(sessions, sql),
    packs: createPackRecords(sessions, sql),
    close: async () => connections.close(),
  };
}

/** The connections of one adapter, between `open` and `close`. */
class Connections {
  readonly #options: ResolvedOptions;
  readonly #sql: Statements;
  readonly #owned: Connection[] = [];
  #sessions: Sessions | undefined;
  #logId: string | undefined;

  constructor(options: ResolvedOptions, sql: Statements) {
    this.#options = options;
    this.#sql = sql;
  }

  get sessions(): Sessions {
    if (this.#sessions === undefined) throw notOpen();
    return this.#sessions;
  }

  get logId(): string {
    if (this.#logId === undefined) throw notOpen();
    return this.#logId;
  }

  async open(schema: "migrate" | "check", op: Operation): Promise<OpenedLog> {
    const { borrowed, lone, waitMs, prefix, synchronous } = this.#options;
    const sql = this.#sql;
    const file = borrowed === undefined || lone ? this.#options.file : pathOf(borrowed);
    if (schema === "check" && !lone && !existsSync(file)) throw missingSchema();
    const writer = new Session(lone && borrowed !== undefined ? new Connection(borrowed) : this.#connect(file), waitMs);
    const incomplete = await writer.glance(op, (connection) => needsMigration(connection, sql, schema));
    if (!lone) await writer.outside(op, ({ db }) => configure(db, synchronous));
    if (incomplete) await migrate(writer, sql, prefix, op);
    const reader = lone ? writer : new Session(this.#connect(file), waitMs);
    const logId = await reader.glance(op, (connection) => readLogId(connection, sql));
    this.#logId = logId;
    this.#sessions = { reader, writer };
    return { logId, locks: lockOf(writer.connection.db) };
  }

  close(): void {
    this.#sessions = undefined;
    for (const { db } of this.#owned.splice(0)) db.close();
  }

  #connect(file: string): Connection {
    const connection = connect(file);
    this.#owned.push(connection);
    return connection;
  }
}

function configure(db: Database, synchronous: "full" | "normal"): void {
  db.pragma("journal_mode = wal");
  db.pragma(`synchronous = ${synchronous}`);
}

function checkHandle(tx: Database): Database {
  if (typeof tx === "object" && tx !== null && typeof tx.prepare === "function") return tx;
  throw invalidArgument("tx", "within takes a better-sqlite3 database with an open transaction.");
}

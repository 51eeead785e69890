import type { Adapter, OpenedLog, Operation } from "@tidemark/core/spi";
import { Pool } from "pg";
import { appendBatch } from "./append.ts";
import { capabilitiesOf } from "./capabilities.ts";
import { createClaimRecords } from "./claims.ts";
import type { Queryable } from "./connection.ts";
import { createConsumerRecords } from "./consumers.ts";
import { createLetterRecords } from "./dead-letters.ts";
import { createDeadlineReader } from "./deadlines.ts";
import { invalidArgument, notOpen } from "./errors.ts";
import type { Lent } from "./lent.ts";
import { createLayoutRecords } from "./layouts.ts";
import { createMemberRecords } from "./members.ts";
import { checkLog, migrate, needsMigration, readLog } from "./schema.ts";
import { type PostgresOptions, type ResolvedOptions, resolveOptions } from "./options.ts";
import { readAggregatePage, readFrontierHolders, readHead, readLogPage, readPositionBefore, Told } from "./read.ts";
import { createSagaReader } from "./sagas.ts";
import { connectionBeside, Session } from "./session.ts";
import { createStatements, type Statements } from "./statements.ts";
import { runLent } from "./transaction.ts";
import { Wakeups } from "./wakeups.ts";
import { createVersionRecords } from "./versions.ts";
import { CallersTransactions, createPort, lentTransaction } from "./within.ts";
import { createZoneRecords } from "./zones.ts";

/** An adapter for `openStore`; {@link createPostgresStore} is both in one. Does no I/O. Errors: INVALID_ARGUMENT. */
export function createPostgresAdapter(options: PostgresOptions): Adapter<Queryable> {
  const resolved = resolveOptions(options);
  const { ordering, prepare } = resolved;
  const sql = createStatements(resolved.schemaName);
  const connections = new Connections(resolved, sql);
  const session = (): Session => connections.session;
  const lentTransactions = new WeakMap<Queryable, LentOut>();
  const counts = ordering === "counter";
  const told = new Told();
  const callers = new CallersTransactions({ sql, prepare, context: resolved, logId: () => connections.logId });

  return {
    name: "postgres",
    capabilities: capabilitiesOf(resolved),
    lending: counts ? "blocks-writes" : "beside",
    open: (schema, op) => connections.open(schema, op),
    appendBatch: async (units, op) => {
      const outcomes = await appendBatch({ session: session(), sql, counts }, units, op);
      if (outcomes.some((outcome) => outcome.kind === "appended")) connections.wakeups?.tell();
      return outcomes;
    },
    readAggregate: (query, op) => session().read(op, (connection) => readAggregatePage(connection, sql, query)),
    readAll: (query, op) => session().read(op, (connection) => readLogPage(connection, sql, query, told)),
    head: (op) => session().read(op, (connection) => readHead(connection, sql, told)),
    positionBefore: (time, op) => session().read(op, (connection) => readPositionBefore(connection, sql, time)),
    frontierHolders: (op) => session().read(op, (connection) => readFrontierHolders(connection, sql)),
    transaction: async (work, op) => {
      let appended = false;
      const register = (lent: Lent): void =>
        void lentTransactions.set(lent.tx, { lent, onAppend: () => (appended = true) });
      const result = await runLent(session(), sql, work, op, register);
      if (appended) connections.wakeups?.tell();
      return result;
    },
    within: (tx) => {
      const out = lentTransactions.get(tx);
      if (out === undefined) return createPort(callers.open(checkClient(tx)), { sql, counts });
      return createPort(lentTransaction(out.lent), { sql, counts, onAppend: out.onAppend });
    },
    consumers: {
      ...createConsumerRecords(session, sql),
      ...createLayoutRecords(session, sql),
      ...createVersionRecords(session, sql),
    },
    zones: createZoneRecords(session, sql),
    sagas: createSagaReader(session, sql),
    deadlines: createDeadlineReader(session, sql),
    deadLetters: createLetterRecords(session, sql),
    claims: createClaimRecords(session, sql),
    members: createMemberRecords(session, sql),
    ...(resolved.notify ? { listen: (wake) => connections.listen(wake) } : {}),
    close: () => connections.close(),
  };
}

/** A lent transaction, and whom to tell that something was appended in it. */
interface LentOut {
  readonly lent: Lent;
  readonly onAppend: () => void;
}

/** The pool of one adapter, between `open` and `close`. */
class Connections {
  readonly #options: ResolvedOptions;
  readonly #sql: Statements;
  #owned: Pool | undefined;
  #session: Session | undefined;
  #logId: string | undefined;
  #wakeups: Wakeups | undefined;

  constructor(options: ResolvedOptions, sql: Statements) {
    this.#options = options;
    this.#sql = sql;
  }

  get session(): Session {
    if (this.#session === undefined) throw notOpen();
    return this.#session;
  }

  get logId(): string {
    if (this.#logId === undefined) throw notOpen();
    return this.#logId;
  }

  /** Undefined unless the options ask for them. */
  get wakeups(): Wakeups | undefined {
    return this.#wakeups;
  }

  listen(wake: () => void): () => void {
    if (this.#wakeups === undefined) throw notOpen();
    return this.#wakeups.listen(wake);
  }

  async open(schema: "migrate" | "check", op: Operation): Promise<OpenedLog> {
    const sql = this.#sql;
    const pool = this.#options.pool ?? this.#createPool();
    const session = new Session(pool, this.#options);
    if (await needsMigration(session, sql, schema, this.#options.schemaName, op))
      await migrate(session, sql, this.#options, op);
    const log = await session.read(op, (connection) => readLog(connection, sql));
    checkLog(log, this.#options);
    const level = await session.read(op, (connection) => connection.get(sql.defaultIsolation));
    if ((level as { readonly isolation: string }).isolation !== "read committed") session.frame();
    this.#session = session;
    this.#logId = log.logId;
    if (this.#options.notify) this.#wakeups = new Wakeups(() => connectionBeside(pool), log.logId);
    return { logId: log.logId };
  }

  async close(): Promise<void> {
    const pool = this.#owned;
    this.#session = undefined;
    this.#owned = undefined;
    await this.#wakeups?.close();
    await pool?.end();
  }

  #createPool(): Pool {
    const { connection } = this.#options;
    const config = typeof connection === "string" ? { connectionString: connection } : connection;
    const pool = new Pool({ application_name: "tidemark", ...config });
    // A connection that is lost while nobody uses it: the pool has dropped it, and the next call gets another.
    pool.on("error", () => undefined);
    this.#owned = pool;
    return pool;
  }
}

function checkClient(tx: Queryable): Queryable {
  if (typeof tx === "object" && tx !== null && typeof tx.query === "function") return tx;
  throw invalidArgument("tx", "within takes a client of pg with an open transaction.");
}

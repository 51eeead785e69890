import type { Adapter, OpenedLog, Operation } from "@tidemark/core/spi";
import { Told } from "@tidemark/sql-kit";
import type { Pool } from "pg";
import { appendBatch } from "./append.ts";
import { capabilitiesOf } from "./capabilities.ts";
import { createClaimRecords } from "./claims.ts";
import type { Queryable } from "./connection.ts";
import { createConsumerRecords } from "./consumers.ts";
import { createLetterRecords } from "./dead-letters.ts";
import { createDeadlineReader } from "./deadlines.ts";
import { invalidArgument, notOpen } from "./errors.ts";
import { createIdentityRecords } from "./identities.ts";
import { createLayoutRecords } from "./layouts.ts";
import type { Lent } from "./lent.ts";
import { createMemberRecords } from "./members.ts";
import { type PostgresOptions, type ResolvedOptions, resolveOptions } from "./options.ts";
import { createPackRecords } from "./packs.ts";
import { connectionBeside, createOwnPool } from "./pool.ts";
import {
  readAggregatePage,
  readEventIdPage,
  readFrontierHolders,
  readHead,
  readLogPage,
  readPositionBefore,
} from "./read.ts";
import { createSagaReader } from "./sagas.ts";
import { checkLog, migrate, needsMigration, readLog } from "./schema.ts";
import { Session } from "./session.ts";
import { createSnapshotRecords } from "./snapshots.ts";
import { createStatements, type Statements } from "./statements.ts";
import { runLent } from "./transaction.ts";
import { createVersionRecords } from "./versions.ts";
import { Wakeups } from "./wakeups.ts";
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
      const outcomes = await appendBatch({ session: connections.appending, sql, counts }, units, op);
      if (outcomes.some((outcome) => outcome.kind === "appended")) connections.wakeups?.tell();
      return outcomes;
    },
    readAggregate: (query, op) => session().read(op, (connection) => readAggregatePage(connection, sql, query)),
    readEventsById: (query, op) => session().read(op, (connection) => readEventIdPage(connection, sql, query)),
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
    snapshots: createSnapshotRecords(session, sql),
    identities: createIdentityRecords(session, sql),
    packs: createPackRecords(session, sql),
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
  #appending: Session | undefined;
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

  /** The same for batches of appends, which core counts. */
  get appending(): Session {
    if (this.#appending === undefined) throw notOpen();
    return this.#appending;
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
    const { connection, pool: borrowed, waitMs } = this.#options;
    const pool = borrowed ?? createOwnPool(connection, waitMs);
    this.#owned = borrowed === undefined ? pool : undefined;
    const session = new Session(pool, { ...this.#options, endsWhenFree: false });
    const appending = new Session(pool, { ...this.#options, endsWhenFree: true });
    if (await needsMigration(session, sql, schema, this.#options.schemaName, op))
      await migrate(session, sql, this.#options, op);
    const log = await session.read(op, (connection) => readLog(connection, sql));
    checkLog(log, this.#options);
    const level = await session.read(op, (connection) => connection.get(sql.defaultIsolation));
    if ((level as { readonly isolation: string }).isolation !== "read committed") {
      session.frame();
      appending.frame();
    }
    this.#session = session;
    this.#appending = appending;
    this.#logId = log.logId;
    if (this.#options.notify) this.#wakeups = new Wakeups(() => connectionBeside(pool), log.logId);
    return { logId: log.logId };
  }

  async close(): Promise<void> {
    const pool = this.#owned;
    this.#session = undefined;
    this.#appending = undefined;
    this.#owned = undefined;
    await this.#wakeups?.close();
    await pool?.end();
  }
}

function checkClient(tx: Queryable): Queryable {
  if (typeof tx === "object" && tx !== null && typeof tx.query === "function") return tx;
  throw invalidArgument("tx", "within takes a client of pg with an open transaction.");
}

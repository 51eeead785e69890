import type { Adapter, OpenedLog, Operation } from "@tidemark/core/spi";
import { Told } from "@tidemark/sql-kit";
import type { Pool } from "mysql2/promise";
import { appendBatch } from "./append.ts";
import { capabilitiesOf } from "./capabilities.ts";
import { createClaimRecords } from "./claims.ts";
import type { CallbackQueryable, Connection, Queryable } from "./connection.ts";
import { createConsumerRecords } from "./consumers.ts";
import { createLetterRecords } from "./dead-letters.ts";
import { createDeadlineReader } from "./deadlines.ts";
import { invalidArgument, notOpen } from "./errors.ts";
import { createIdentityRecords } from "./identities.ts";
import { createLayoutRecords } from "./layouts.ts";
import type { Lent } from "./lent.ts";
import { createMemberRecords } from "./members.ts";
import { type MysqlOptions, type ResolvedOptions, resolveOptions } from "./options.ts";
import { createPackRecords } from "./packs.ts";
import { configBeside, configOfPool, createOwnPool, secondsOf } from "./pool.ts";
import {
  readAggregatePage,
  readEventIdPage,
  readFrontierHolders,
  readHead,
  readLogPage,
  type ReadParts,
  readPositionBefore,
} from "./read.ts";
import { createSagaReader } from "./sagas.ts";
import { checkLog, checkServer, migrate, needsMigration, readLog } from "./schema.ts";
import { Session } from "./session.ts";
import { createSnapshotRecords } from "./snapshots.ts";
import { createStatements, type Statements } from "./statements.ts";
import { runLent } from "./transaction.ts";
import { createVersionRecords } from "./versions.ts";
import { asPromising, CallersTransactions, createPort, lentTransaction } from "./within.ts";
import { createZoneRecords } from "./zones.ts";

/** What `within` takes: a connection of mysql2, with promises or with callbacks. */
export type MysqlConnection = Queryable | CallbackQueryable;

/** The adapter, which takes connections of both kinds and lends one kind. */
export interface MysqlAdapter extends Adapter<Queryable> {
  within(tx: MysqlConnection): ReturnType<Adapter<Queryable>["within"]>;
}

/** An adapter for `openStore`; {@link createMysqlStore} is both in one. Does no I/O. Errors: INVALID_ARGUMENT. */
export function createMysqlAdapter(options: MysqlOptions): MysqlAdapter {
  const resolved = resolveOptions(options);
  const { ordering, database, prefix, idleInTransactionMs } = resolved;
  const sql = createStatements(database, prefix);
  const connections = new Connections(resolved, sql);
  const session = (): Session => connections.session;
  const lentTransactions = new WeakMap<object, Lent>();
  const counts = ordering === "counter";
  const told = new Told();
  const callers = new CallersTransactions({ sql, counts, context: resolved, logId: () => connections.logId });
  const look = <T>(op: Operation, work: (parts: ReadParts) => Promise<T>): Promise<T> =>
    connections.beside.read(op, (connection) => work({ connection, sql, counts, told }));

  return {
    name: "mysql",
    capabilities: capabilitiesOf(resolved),
    lending: counts ? "blocks-writes" : "beside",
    open: (schema, op) => connections.open(schema, op),
    appendBatch: (units, op) => appendBatch({ session: connections.appending, sql, counts }, units, op),
    readAggregate: (query, op) =>
      connections.reading.read(op, (connection) => readAggregatePage(connection, sql, query)),
    readEventsById: (query, op) =>
      connections.reading.read(op, (connection) => readEventIdPage(connection, sql, query)),
    readAll: async (query, op) => {
      const { registrations, ...page } = await look(op, (parts) => readLogPage(parts, query));
      if (registrations > ENDED_REGISTRATIONS) await connections.removeRegistrations(registrations, op);
      return page;
    },
    head: (op) => look(op, readHead),
    positionBefore: (time, op) => look(op, (parts) => readPositionBefore(parts, time)),
    frontierHolders: (op) => look(op, readFrontierHolders),
    transaction: (work, op) =>
      runLent(session(), secondsOf(idleInTransactionMs), work, op, (lent) => void lentTransactions.set(lent.tx, lent)),
    within: (tx) => {
      const lent = lentTransactions.get(tx);
      const open = lent === undefined ? callers.open(asPromising(checkClient(tx))) : lentTransaction(lent);
      const committed = <T>(op: Operation, work: (connection: Connection) => Promise<T>): Promise<T> =>
        connections.beside.read(op, work);
      return createPort(open, { sql, counts, committed });
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
    close: () => connections.close(),
  };
}

/** So many registrations that mean nothing any more are no trouble to readers. */
const ENDED_REGISTRATIONS = 100;
/** As the statement says that finds them, and how often it is asked in turn. */
const [REMOVED_AT_ONCE, ROUNDS] = [1_000, 10];
/** Connections at most, for what is committed: each is busy for milliseconds, and waits for nobody. */
const BESIDE = 8;
/** Those for appends are as many as core makes at once. */
const NO_LIMIT = 0;

/** The pools of one adapter, between `open` and `close`. */
class Connections {
  readonly #options: ResolvedOptions;
  readonly #sql: Statements;
  #owned: readonly Pool[] = [];
  #session: Session | undefined;
  #beside: Session | undefined;
  #appending: Session | undefined;
  #logId: string | undefined;

  constructor(options: ResolvedOptions, sql: Statements) {
    this.#options = options;
    this.#sql = sql;
  }

  get session(): Session {
    if (this.#session === undefined) throw notOpen();
    return this.#session;
  }

  /**
   * The store's own sessions, which are never lent: on them it reads what is committed and who is appending, several
   * statements at a time.
   */
  get beside(): Session {
    if (this.#beside === undefined) throw notOpen();
    return this.#beside;
  }

  /**
   * The same for batches of appends, which may wait for transactions of callers, which may wait for a look at what is
   * committed: on sessions of theirs they are not in its way.
   */
  get appending(): Session {
    if (this.#appending === undefined) throw notOpen();
    return this.#appending;
  }

  /** For aggregates. Of somebody's pool the server would have to be asked each time how a connection was left. */
  get reading(): Session {
    return this.#options.pool === undefined ? this.session : this.beside;
  }

  get logId(): string {
    if (this.#logId === undefined) throw notOpen();
    return this.#logId;
  }

  async open(schema: "migrate" | "check", op: Operation): Promise<OpenedLog> {
    const { pool: borrowed } = this.#options;
    const pool = borrowed ?? createOwnPool(this.#options.config, this.#options);
    this.#owned = borrowed === undefined ? [pool] : [];
    // Not what a URL says of the pool itself, such as that it does not wait.
    const config = configBeside(configOfPool(pool));
    const common = { ...this.#options, sql: this.#sql, config, endsWhenFree: false };
    const session = new Session(pool, { ...common, isOwn: borrowed === undefined, takesScripts: false });
    const sessions = (connectionLimit: number, endsWhenFree: boolean): Session => {
      const beside = createOwnPool({ ...config, connectionLimit, multipleStatements: true }, this.#options);
      this.#owned = [...this.#owned, beside];
      return new Session(beside, { ...common, isOwn: true, takesScripts: true, endsWhenFree });
    };
    const [beside, appending] = [sessions(BESIDE, false), sessions(NO_LIMIT, true)];

    await session.read(op, (connection) => checkServer(connection, this.#sql, this.#options));
    if (await needsMigration(session, this.#sql, schema, this.#options, op)) {
      await migrate(session, this.#options, op);
    }
    const log = await session.read(op, (connection) => readLog(connection, this.#sql));
    checkLog(log, this.#options);
    this.#session = session;
    this.#beside = beside;
    this.#appending = appending;
    this.#logId = log.logId;
    return { logId: log.logId };
  }

  /**
   * Those that are committed mean nothing any more. What is not removed now will be later; where very many have come
   * together, as where nobody has read for long, more at once.
   */
  async removeRegistrations(registrations: number, op: Operation): Promise<void> {
    const rounds = Math.min(Math.ceil(registrations / REMOVED_AT_ONCE), ROUNDS);
    for (let round = 1; round <= rounds; round++) {
      const removing = this.beside.write(op, async (connection) => {
        const ended = (await connection.all(this.#sql.endedRegistrations)).map(asId);
        await connection.writeAll(ended.map((id) => ({ sql: this.#sql.removeRegistration, values: [id] })));
        return ended.length;
      });
      if ((await removing.catch(() => 0)) < REMOVED_AT_ONCE) return;
    }
  }

  async close(): Promise<void> {
    const pools = this.#owned;
    this.#session = undefined;
    this.#beside = undefined;
    this.#appending = undefined;
    this.#owned = [];
    // One that is still waiting for a server that does not answer says so, and is closed all the same.
    await Promise.allSettled(pools.map((pool) => pool.end()));
  }
}

/** Too large for a number. */
function asId(row: unknown): bigint {
  return BigInt((row as { readonly id: string }).id);
}

function checkClient(tx: MysqlConnection): MysqlConnection {
  if (typeof tx === "object" && tx !== null && typeof tx.query === "function") return tx;
  throw invalidArgument("tx", "within takes a connection of mysql2 with an open transaction.");
}

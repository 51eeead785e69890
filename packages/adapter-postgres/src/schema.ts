import type { TidemarkError } from "@tidemark/core";
import type { Operation } from "@tidemark/core/spi";
import { emptySchema, type Ident, isIncomplete, type SchemaWords, schemaMismatch } from "@tidemark/sql-kit";
import type { Connection } from "./connection.ts";
import { cachedPositions, clashingTags, onStandby, otherOrdering } from "./errors.ts";
import { postgresMigrations, SCHEMA_VERSION } from "./migrations.ts";
import type { Ordering } from "./options.ts";
import type { Session } from "./session.ts";
import type { Statements } from "./statements.ts";

const SCHEMA_WORDS: SchemaWords = {
  package: "@tidemark/adapter-postgres",
  missing: "There is no Tidemark schema of this name",
  elsewhere: "give the right database and schemaName",
};

const INSTEAD = "another schemaName; if the schema holds nothing that you need, drop it and open the store again";

/** Whether something is missing that `migrate` adds. Throws SCHEMA_MISMATCH where it may not or cannot. Reads only. */
export async function needsMigration(
  session: Session,
  sql: Statements,
  schema: "migrate" | "check",
  schemaName: Ident,
  op: Operation,
): Promise<boolean> {
  const stored = await session.read(op, (connection) => storedVersion(connection, sql, schemaName));
  return isIncomplete(stored, SCHEMA_VERSION, schema, SCHEMA_WORDS);
}

/** Applies what is missing, in one transaction: whoever comes second waits, and finds nothing missing. */
export async function migrate(
  session: Session,
  sql: Statements,
  options: { readonly schemaName: Ident; readonly ordering: Ordering },
  op: Operation,
): Promise<void> {
  await session.write(op, async (connection) => {
    await connection.run(sql.lockSchema, options.schemaName);
    const stored = await storedVersion(connection, sql, options.schemaName);
    if (stored > SCHEMA_VERSION) throw schemaMismatch(stored, SCHEMA_VERSION, SCHEMA_WORDS);
    for (const migration of postgresMigrations(options)) {
      if (migration.version > stored) await connection.script(migration.sql);
    }
  });
}

/** What a log says of itself. */
export interface StoredLog {
  readonly logId: string;
  readonly ordering: Ordering;
  /** How many other logs of the database have its tag. */
  readonly clashes: number;
  /** Whether connections take positions in advance, which somebody has altered the sequence to do. */
  readonly caches: boolean;
  /** Whether the server is a standby. */
  readonly standby: boolean;
}

/** Throws SCHEMA_MISMATCH where there is no log. */
export async function readLog(connection: Connection, sql: Statements): Promise<StoredLog> {
  const row = await connection.get(sql.log);
  if (row === undefined) throw missingSchema();
  const { log_id, ...others } = row as Omit<StoredLog, "logId"> & { readonly log_id: string };
  return { logId: log_id, ...others };
}

/** Throws when the log cannot be used as the options want it, or beside the other logs of the database. */
export function checkLog(log: StoredLog, options: { readonly schemaName: Ident; readonly ordering: Ordering }): void {
  if (options.ordering !== log.ordering) throw otherOrdering(log.ordering, options.ordering);
  if (log.clashes > 0) throw clashingTags(options.schemaName);
  if (log.ordering === "counter") return;
  if (log.caches) throw cachedPositions(options.schemaName);
  if (log.standby) throw onStandby();
}

/** The schema is not there, or not whole. */
export function missingSchema(): TidemarkError<"SCHEMA_MISMATCH"> {
  return schemaMismatch(0, SCHEMA_VERSION, SCHEMA_WORDS);
}

async function storedVersion(connection: Connection, sql: Statements, schemaName: Ident): Promise<number> {
  const exists = (await connection.number(sql.schemaTable, schemaName)) === 1;
  if (!exists) return 0;
  const stored = await connection.number(sql.schemaVersion);
  if (stored === 0) throw emptySchema(SCHEMA_VERSION, INSTEAD);
  return stored;
}

import type { TidemarkError } from "@tidemark/core";
import type { Operation } from "@tidemark/core/spi";
import { type Ident, isIncomplete, type SchemaWords, schemaMismatch } from "@tidemark/sql-kit";
import type { Connection } from "./connection.ts";
import { isMissing } from "./driver-errors.ts";
import { otherOrdering, readOnly, severalPrimaries } from "./errors.ts";
import { mysqlMigrations, SCHEMA_VERSION, statementsOf } from "./migrations.ts";
import type { Ordering } from "./options.ts";
import { readVariables } from "./profile.ts";
import type { Session } from "./session.ts";
import { createStatements, type Statements } from "./statements.ts";

const SCHEMA_WORDS: SchemaWords = {
  package: "@tidemark/adapter-mysql",
  missing: "There are no Tidemark tables with this prefix",
  elsewhere: "give the right database and prefix",
};

/** Whose tables. */
interface Place {
  readonly database: Ident;
  readonly prefix: Ident;
}

/** Whether something is missing that `migrate` adds. Throws SCHEMA_MISMATCH where it may not or cannot. Reads only. */
export async function needsMigration(
  session: Session,
  sql: Statements,
  schema: "migrate" | "check",
  place: Place,
  op: Operation,
): Promise<boolean> {
  const stored = await session.read(op, (connection) => storedVersion(connection, sql, place));
  return isIncomplete(stored, SCHEMA_VERSION, schema, SCHEMA_WORDS);
}

/**
 * Applies what is missing, statement by statement, since each that makes a table commits. All can be run again: whoever
 * comes second finds nothing to do, and what somebody has left half-way goes on from its first statement.
 */
export async function migrate(
  session: Session,
  options: Place & { readonly ordering: Ordering },
  op: Operation,
): Promise<void> {
  const sql = createStatements(options.database, options.prefix);
  await session.autocommit(op, async (connection) => {
    const stored = await storedVersion(connection, sql, options);
    if (stored > SCHEMA_VERSION) throw schemaMismatch(stored, SCHEMA_VERSION, SCHEMA_WORDS);
    for (const migration of mysqlMigrations(options)) {
      if (migration.version <= stored) continue;
      for (const statement of statementsOf(migration.sql)) await connection.script(statement);
    }
  });
}

/** What a log says of itself. */
export interface StoredLog {
  readonly logId: string;
  readonly ordering: Ordering;
}

/** Throws SCHEMA_MISMATCH where there is no log. */
export async function readLog(connection: Connection, sql: Statements): Promise<StoredLog> {
  const row = await connection.get(sql.log).catch((error: unknown) => {
    throw isMissing(error) ? missingSchema() : error;
  });
  if (row === undefined) throw missingSchema();
  const { log_id, ordering } = row as Pick<StoredLog, "ordering"> & { readonly log_id: string };
  return { logId: log_id, ordering };
}

/** Throws when the log cannot be used as the options want it. */
export function checkLog(log: StoredLog, options: { readonly ordering: Ordering }): void {
  if (options.ordering !== log.ordering) throw otherOrdering(log.ordering, options.ordering);
}

/** Throws when readers would not see on this server who is appending, as they need to with the default ordering. */
export async function checkServer(
  connection: Connection,
  sql: Statements,
  { ordering }: { readonly ordering: Ordering },
): Promise<void> {
  if (ordering === "counter") return;
  const variables = await readVariables(connection, sql.serverVariables);
  const found = signOfSeveralPrimaries(variables);
  if (found !== undefined) throw severalPrimaries(found);
  // MariaDB has more words for it than one.
  const isReadOnly = ["read_only", "super_read_only"].some((name) => (variables.get(name) ?? "OFF") !== "OFF");
  if (isReadOnly) throw readOnly();
}

/** Whether a group is running, not everybody may ask; that it is configured, everybody may. */
function signOfSeveralPrimaries(variables: ReadonlyMap<string, string>): string | undefined {
  if (variables.get("wsrep_on") === "ON") return "wsrep_on, a cluster of Galera";
  const isInGroup = (variables.get("group_replication_group_name") ?? "") !== "";
  if (isInGroup && variables.get("group_replication_single_primary_mode") === "OFF") {
    return "group_replication_single_primary_mode is OFF";
  }
  const increment = variables.get("auto_increment_increment") ?? "1";
  return increment === "1" ? undefined : `auto_increment_increment is ${increment}`;
}

/** The tables are not there, or not all of them. */
export function missingSchema(): TidemarkError<"SCHEMA_MISMATCH"> {
  return schemaMismatch(0, SCHEMA_VERSION, SCHEMA_WORDS);
}

/** 0 also where a migration was killed before its end: what it has left goes on. */
async function storedVersion(connection: Connection, sql: Statements, { database, prefix }: Place): Promise<number> {
  const exists = (await connection.number(sql.schemaTable, database, `${prefix}migration`)) === 1;
  return exists ? connection.number(sql.schemaVersion) : 0;
}

import { randomUUID } from "node:crypto";
import type { TidemarkError } from "@tidemark/core";
import type { Operation } from "@tidemark/core/spi";
import { emptySchema, type Ident, isIncomplete, schemaMismatch, type SchemaWords } from "@tidemark/sql-kit";
import type { Connection } from "./connection.ts";
import { MIGRATIONS, SCHEMA_VERSION } from "./migrations.ts";
import type { Session } from "./session.ts";
import { type Statements, inSchema } from "./statements.ts";

const SCHEMA_WORDS: SchemaWords = {
  package: "@tidemark/adapter-sqlite",
  missing: "There is no schema with this prefix",
  elsewhere: "give the right file and prefix",
};

const INSTEAD =
  "another prefix; if none of the tables with this prefix holds anything that you need, drop them all and open the " +
  "store again";

/** Whether something is missing that `migrate` adds. Throws SCHEMA_MISMATCH where it may not or cannot. Reads only. */
export function needsMigration(connection: Connection, sql: Statements, schema: "migrate" | "check"): boolean {
  return isIncomplete(storedVersion(connection, sql), SCHEMA_VERSION, schema, SCHEMA_WORDS);
}

/** Applies what is missing, each migration in a transaction of its own that first looks whether it is still missing. */
export async function migrate(writer: Session, sql: Statements, prefix: Ident, op: Operation): Promise<void> {
  for (const migration of MIGRATIONS) {
    await writer.write(op, (connection) => {
      const stored = storedVersion(connection, sql);
      if (stored > SCHEMA_VERSION) throw schemaMismatch(stored, SCHEMA_VERSION, SCHEMA_WORDS);
      if (stored >= migration.version) return;
      connection.db.exec(inSchema(migration.sql, prefix));
      if (migration.version === 1) connection.run(sql.insertLog, randomUUID());
      connection.run(sql.recordMigration, migration.version, migration.name);
    });
  }
}

/** The schema is not there. */
export function missingSchema(): TidemarkError<"SCHEMA_MISMATCH"> {
  return schemaMismatch(0, SCHEMA_VERSION, SCHEMA_WORDS);
}

function storedVersion(connection: Connection, sql: Statements): number {
  if (connection.get(sql.schemaTable) === undefined) return 0;
  const stored = connection.number(sql.schemaVersion);
  if (stored === 0) throw emptySchema(SCHEMA_VERSION, INSTEAD);
  return stored;
}

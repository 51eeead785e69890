import type { Ident, Migration } from "@tidemark/sql-kit";
import { log } from "./migrations/1-log.ts";
import { consumers } from "./migrations/2-consumers.ts";
import { actors } from "./migrations/3-actors.ts";
import { databaseIdent, DEFAULT_PREFIX, type Ordering, prefixIdent } from "./options.ts";
import { inSchema } from "./statements.ts";

/**
 * Released migrations are never edited; a change of the schema is a new one. Written with the default prefix. MySQL
 * commits each statement that makes a table, so every statement can be run again: one that was killed half-way goes on.
 *
 * Names, ids and types are bytes of UTF-8, for which the servers have no collation in common that tells trailing spaces
 * apart; and bytes of the longest ids fit into an index, which four for each character would not.
 */
const MIGRATIONS: readonly Migration[] = [log, consumers, actors];

export const SCHEMA_VERSION: number = MIGRATIONS.length;

/** The migrations as SQL, to be reviewed and to be run by somebody with more rights than the application has. */
export function mysqlMigrations(options: MigrationOptions): readonly Migration[] {
  const database = databaseIdent(options.database);
  const prefix = prefixIdent(options.prefix ?? DEFAULT_PREFIX);
  return MIGRATIONS.map((migration) => ({
    ...migration,
    sql: scriptOf(migration, database, prefix, options.ordering),
  }));
}

export interface MigrationOptions {
  readonly database: string;
  /** Default `"tidemark_"`. */
  readonly prefix?: string | undefined;
  /** Default `"frontier"`. */
  readonly ordering?: Ordering | undefined;
}

/** The statements of a migration's script, which are run one by one. */
export function statementsOf(sql: string): readonly string[] {
  return sql
    .split(/;\s*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== "");
}

/** A whole script: run from its first statement, however often, it leaves behind what `migrate` does. */
function scriptOf(
  { version, name, sql }: Migration,
  database: Ident,
  prefix: Ident,
  ordering: Ordering = "frontier",
): string {
  const after = version === 1 ? CREATE_LOG.replaceAll("ORDERING", ordering) : "";
  const record = `
      insert ignore into tidemark_migration (version, name) values (${version}, '${name}');\n`;
  return inSchema(sql + after + record, database, prefix);
}

/** Whoever comes first names the log. */
const CREATE_LOG = `
      insert ignore into tidemark_log (only_row, log_id, ordering, base_token) values (1, uuid(), 'ORDERING', 0);
`;

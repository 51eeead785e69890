import type { Ident, Migration } from "@tidemark/sql-kit";
import { log } from "./migrations/1-log.ts";
import { consumers } from "./migrations/2-consumers.ts";
import { actors } from "./migrations/3-actors.ts";
import { DEFAULT_SCHEMA, type Ordering, schemaIdent } from "./options.ts";
import { inSchema } from "./statements.ts";

/** Released migrations are never edited; a change of the schema is a new one. Written with the default schema's name. */
const MIGRATIONS: readonly Migration[] = [log, consumers, actors];

export const SCHEMA_VERSION: number = MIGRATIONS.length;

/** The migrations as SQL, to be reviewed and to be run by somebody with more rights than the application has. */
export function postgresMigrations(options: MigrationOptions = {}): readonly Migration[] {
  const schemaName = schemaIdent(options.schemaName ?? DEFAULT_SCHEMA);
  return MIGRATIONS.map((migration) => ({ ...migration, sql: scriptOf(migration, schemaName, options.ordering) }));
}

export interface MigrationOptions {
  /** Default `"tidemark"`. */
  readonly schemaName?: string | undefined;
  /** Default `"frontier"`. */
  readonly ordering?: Ordering | undefined;
}

/** A whole script: run in one transaction, in the order of the versions, it leaves behind what `migrate` does. */
function scriptOf({ version, name, sql }: Migration, schemaName: Ident, ordering: Ordering = "frontier"): string {
  const before = version === 1 ? CREATE_SCHEMA.replaceAll("SCHEMA_NAME", schemaName) : "";
  const after = version === 1 ? CREATE_LOG.replaceAll("ORDERING", ordering) : "";
  const record = `\n      insert into tidemark.migration (version, name) values (${version}, '${name}');\n`;
  return `${before}${inSchema(sql + after + record, schemaName)}`;
}

/** "create schema if not exists" asks for the right to create one even where it is there. */
const CREATE_SCHEMA = `
      do $do$ begin
        if not exists (select from pg_namespace where nspname = 'SCHEMA_NAME') then
          create schema "SCHEMA_NAME";
        end if;
      end $do$;
`;

const CREATE_LOG = `
      insert into tidemark.log (log_id, ordering, tag) values (gen_random_uuid()::text, 'ORDERING', 1);
      select tidemark.allot_tag();
`;

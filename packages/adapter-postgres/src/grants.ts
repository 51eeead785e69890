import { type Ident, ident } from "@tidemark/sql-kit";
import { DEFAULT_SCHEMA, schemaIdent } from "./options.ts";
import { inSchema } from "./statements.ts";

/** Which role gets the rights on which schema. */
export interface GrantOptions {
  /** The role that the application connects as. Letters, digits, `_`, `-` and `$`, as it was created. */
  readonly role: string;
  /** Default `"tidemark"`. */
  readonly schemaName?: string | undefined;
}

/**
 * What an application's role needs, as SQL, to be run by the schema's owner after the migrations, and again after each
 * new one. With it a store opens by `schema: "check"` and does everything that stores do. The role cannot change or
 * remove an event or a snapshot, nor alter the schema. Errors: INVALID_ARGUMENT.
 */
export function postgresGrants({ role, schemaName = DEFAULT_SCHEMA }: GrantOptions): string {
  const grantee = roleIdent(role);
  const name = schemaIdent(schemaName);
  const named = GRANTS.replaceAll("SCHEMA_NAME", name).replaceAll("ROLE_NAME", () => grantee);
  return inSchema(named, name);
}

function roleIdent(name: string): Ident {
  return ident(name, {
    argument: "role",
    pattern: /^(?!pg_)[A-Za-z_][A-Za-z0-9_$-]{0,62}$/,
    words: 'at most 63 letters, digits, "_", "$" and "-", and begins with neither a digit nor "pg_"',
  });
}

/** Locking a row takes the right to update it. Functions run with the rights of whoever calls them. */
const GRANTS = `
      grant usage on schema "SCHEMA_NAME" to "ROLE_NAME";
      grant execute on all functions in schema "SCHEMA_NAME" to "ROLE_NAME";
      grant usage, select on sequence tidemark.event_position to "ROLE_NAME";
      grant usage on sequence tidemark.fencing_token to "ROLE_NAME";
      grant select on tidemark.migration, tidemark.log, tidemark.frontier_holder to "ROLE_NAME";
      grant select, insert on tidemark.event, tidemark.snapshot, tidemark.identity to "ROLE_NAME";
      grant select, update on tidemark.counter to "ROLE_NAME";
      grant select, insert, update on tidemark.actor, tidemark.identity_key, tidemark.pack to "ROLE_NAME";
      grant select, insert, update, delete on
        tidemark.aggregate, tidemark.consumer, tidemark.consumer_segment, tidemark.consumer_member, tidemark.saga,
        tidemark.saga_association, tidemark.saga_deadline, tidemark.dead_letter, tidemark.dead_letter_sequence,
        tidemark.claim, tidemark.completion
        to "ROLE_NAME";
`;

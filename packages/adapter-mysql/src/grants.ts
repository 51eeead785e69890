import { type Ident, ident } from "@tidemark/sql-kit";
import { databaseIdent, DEFAULT_PREFIX, prefixIdent } from "./options.ts";
import { inSchema } from "./statements.ts";

/** Which user gets the rights on which tables. */
export interface GrantOptions {
  /** The user that the application connects as. Letters, digits, `_`, `-`, `.`, `$` and `@`, as it was created. */
  readonly user: string;
  /** From where the user connects, as it was created: a name, an address, with `%` and `_`. Default `"%"`: anywhere. */
  readonly host?: string | undefined;
  readonly database: string;
  /** Default `"tidemark_"`. */
  readonly prefix?: string | undefined;
}

/**
 * What an application's user needs, as SQL, to be run by an administrator after the migrations, and again after each new
 * one. With it a store opens by `schema: "check"` and does everything that stores do. The user cannot remove an event
 * or a snapshot, change what it is one of, nor alter the tables. Errors: INVALID_ARGUMENT.
 */
export function mysqlGrants({ user, host = "%", database, prefix = DEFAULT_PREFIX }: GrantOptions): string {
  const grantee = `'${userIdent(user)}'@'${hostIdent(host)}'`;
  const named = inSchema(GRANTS, databaseIdent(database), prefixIdent(prefix));
  return named.replaceAll("USER_NAME", () => grantee);
}

function userIdent(name: string): Ident {
  return ident(name, {
    argument: "user",
    pattern: /^[A-Za-z0-9_.$@-]{1,80}$/,
    words: 'at most 80 letters, digits, "_", "-", ".", "$" and "@"',
  });
}

function hostIdent(name: string): Ident {
  return ident(name, {
    argument: "host",
    pattern: /^[A-Za-z0-9_.%:/-]{1,255}$/,
    words: 'at most 255 letters, digits, "_", "-", ".", "%", ":" and "/"',
  });
}

/** Locking a row takes the right to change it. Events and states that are longer than a statement are written in pieces. */
const GRANTS = `
      grant select on tidemark_migration to USER_NAME;
      grant select, update (base_token) on tidemark_log to USER_NAME;
      grant select, update on tidemark_counter to USER_NAME;
      grant select, insert, update (data, metadata) on tidemark_event to USER_NAME;
      grant select, insert, update, delete on tidemark_aggregate to USER_NAME;
      grant select, insert, update, delete on tidemark_registration to USER_NAME;
      grant select, insert, update, delete on tidemark_consumer_name to USER_NAME;
      grant select, insert, update, delete on tidemark_consumer to USER_NAME;
      grant select, insert, update, delete on tidemark_consumer_member to USER_NAME;
      grant select, insert, update, delete on tidemark_consumer_segment to USER_NAME;
      grant select, insert, update, delete on tidemark_saga to USER_NAME;
      grant select, insert, update, delete on tidemark_saga_association to USER_NAME;
      grant select, insert, update, delete on tidemark_saga_deadline to USER_NAME;
      grant select, insert, update, delete on tidemark_dead_letter to USER_NAME;
      grant select, insert, update, delete on tidemark_dead_letter_sequence to USER_NAME;
      grant select, insert, update, delete on tidemark_claim to USER_NAME;
      grant select, insert, update, delete on tidemark_completion to USER_NAME;
      grant select, insert, update on tidemark_actor to USER_NAME;
      grant select, insert, update (state) on tidemark_snapshot to USER_NAME;
      grant select, insert on tidemark_identity to USER_NAME;
      grant select, insert, update on tidemark_identity_key to USER_NAME;
      grant select, insert, update, delete on tidemark_pack to USER_NAME;
`;

import type { ResultSetHeader } from "mysql2/promise";
import { type Connection, takesBackslashes } from "./connection.ts";
import { setOtherwise, unfitSession } from "./errors.ts";
import type { Statements } from "./statements.ts";

/** How a session is set, which decides what statements on it do. Settings by the names that both servers have for them. */
export interface Profile {
  readonly sqlMode: string;
  /** Whether transactions on it are surely READ COMMITTED without being told. */
  readonly isReadCommitted: boolean;
  /** Assignments of all settings that are put back after a transaction was lent. */
  readonly settings: string;
  /** Assignments of those without which not even statements of the store's in the transaction do what they say. */
  readonly needed: string;
  /** Bytes of the longest statement. */
  readonly maxPacket: number;
}

/** The settings that the store's own sessions get beside what the server gives to all. */
export interface OwnSettings {
  /** Seconds without a statement after which the server closes the connection, and seconds of waiting for a lock. */
  readonly waitTimeout: number;
  readonly lockWaitTimeout: number;
}

/**
 * Reads how the session is set, and refuses one on which statements of ours would do something else. `counts`: whether
 * positions come from the counter, and not from the server, which on a node of Galera counts in steps. `needed`: of those
 * that a pool lends, which begin and end transactions of ours, as well.
 */
export async function readProfile(
  connection: Connection,
  sql: Statements,
  counts: boolean,
  needed: Readonly<Record<string, string>> = {},
): Promise<Profile> {
  const variables = await readVariables(connection, sql.sessionVariables);
  const of = (name: string): string => variables.get(nameIn(variables, name)) ?? "";
  const profile = profileOf(variables, false);
  // It cuts off the list of variables as well.
  if (!variables.has("sql_select_limit"))
    throw unfitSession("sql_select_limit", "a few rows", "Leave it as it is by default.");
  for (const [name, charset] of UTF8) {
    if (of(name) !== charset) throw unfitSession(name, of(name), "Set charset of the pool to utf8mb4.");
  }
  for (const [name, value] of Object.entries({ ...NEEDED, ...needed })) {
    if (of(name) !== value) throw unfitSession(name, of(name), `Leave it at ${value}.`);
  }
  if (!counts && of(POSITION_STEP) !== "1") {
    throw unfitSession(
      POSITION_STEP,
      of(POSITION_STEP),
      'Leave it at 1, or make the tables with ordering: "counter", which does not take positions from the server.',
    );
  }
  if (needed === NEEDED_OF_POOLS) checkTracked(variables);
  const modes = modesOf(profile.sqlMode);
  if (!STRICT_MODES.some((mode) => modes.includes(mode))) {
    throw unfitSession(
      "sql_mode",
      profile.sqlMode,
      `Add ${STRICT_MODES[0]}: texts that are too long would be cut off.`,
    );
  }
  const refused = REFUSED_MODES.find((mode) => modes.includes(mode));
  if (refused !== undefined) throw unfitSession("sql_mode", profile.sqlMode, `Take ${refused} away.`);
  return profile;
}

/**
 * Whoever is lent a session may turn to another database, or change what texts are, and the server has to say so. MariaDB
 * never does where it did not when the session began, so that it is of no use to set it.
 */
function checkTracked(variables: ReadonlyMap<string, string>): void {
  const [schema, names] = TRACKING.map((name) => variables.get(name) ?? "");
  const tracked = names?.split(",").map((name) => name.trim()) ?? [];
  const isTold = tracked.includes("*") || [...UTF8.keys()].every((name) => tracked.includes(name));
  if (schema === "ON" && isTold) return;
  throw unfitSession(TRACKING.join(", "), `${schema}, ${names}`, "Leave both as they are by default, in the server.");
}

const TRACKING: readonly string[] = ["session_track_schema", "session_track_system_variables"];

/** Sets a session of the store's own as the store needs it. */
export async function setProfile(connection: Connection, sql: Statements, settings: OwnSettings): Promise<Profile> {
  // Before everything, because MySQL cuts off lists of variables as well, and both refuse what may be long.
  await connection.script(`set session sql_select_limit = ${NO_LIMIT}, sql_big_selects = 1`);
  const variables = await readVariables(connection, sql.sessionVariables);
  checkTracked(variables);
  const own = ownValues(variables, settings);
  await connection.script(`set session ${assignments(own)}, names utf8mb4 collate ${COLLATION}`);
  return profileOf(new Map([...variables, ...own, ["collation_connection", COLLATION], ...UTF8]), true);
}

/** Variables of the store's own sessions that are not as the server makes them. */
function ownValues(
  variables: ReadonlyMap<string, string>,
  { waitTimeout, lockWaitTimeout }: OwnSettings,
): ReadonlyMap<string, string> {
  return new Map([
    ["sql_mode", usableModes(variables.get("sql_mode") ?? "")],
    [nameIn(variables, "transaction_isolation"), "READ-COMMITTED"],
    [nameIn(variables, "transaction_read_only"), "0"],
    ["wait_timeout", String(waitTimeout)],
    ["innodb_lock_wait_timeout", String(lockWaitTimeout)],
    // Of tables that somebody alters, locks or backs up.
    ["lock_wait_timeout", String(lockWaitTimeout)],
    // Lists of registrations must not be cut off.
    ["group_concat_max_len", "67108864"],
    ["sql_safe_updates", "0"],
    ["unique_checks", "1"],
    ["autocommit", "1"],
    ["auto_increment_increment", "1"],
    ["auto_increment_offset", "1"],
    // After COMMIT no transaction begins by itself.
    ["completion_type", "0"],
  ]);
}

/** Puts back what a transaction of ours, or whoever it was lent to, may have changed. */
export function settingsOf({ settings }: Profile): string {
  return `set session autocommit = 1, ${settings}`;
}

/** What texts are, on their way to the server and back. */
const UTF8: ReadonlyMap<string, string> = new Map(
  ["character_set_client", "character_set_connection", "character_set_results"].map((name) => [name, "utf8mb4"]),
);
const COLLATION = "utf8mb4_bin";
/** What each statement relies on. That an event is known already, unique indexes say. */
const NO_LIMIT = "18446744073709551615";
const NEEDED: Readonly<Record<string, string>> = { sql_select_limit: NO_LIMIT, unique_checks: "ON" };
/** Without a counter positions are the server's, and have to be one after the other. */
const POSITION_STEP = "auto_increment_increment";
/** Transactions begin where ours do, and nowhere else, and may write. */
export const NEEDED_OF_POOLS: Readonly<Record<string, string>> = {
  autocommit: "ON",
  completion_type: "NO_CHAIN",
  transaction_read_only: "OFF",
};
/** What is not put back: given by the server, or by other names. */
const NOT_PUT_BACK: readonly string[] = [
  "autocommit",
  "character_set_connection",
  "max_allowed_packet",
  "secure_timestamp",
  ...TRACKING,
  "version",
];
const STRICT_MODES: readonly string[] = ["STRICT_TRANS_TABLES", "STRICT_ALL_TABLES"];
/** With these, texts in statements are not what they look like. */
const REFUSED_MODES: readonly string[] = ["NO_BACKSLASH_ESCAPES", "EMPTY_STRING_IS_NULL"];

/** Variables of the session or the server, by name. */
export async function readVariables(connection: Connection, sql: string): Promise<ReadonlyMap<string, string>> {
  const rows = await connection.all(sql);
  return new Map(rows.map(asVariable).map(({ Variable_name, Value }) => [Variable_name.toLowerCase(), Value]));
}

/** By which the driver asks for the number of rows that an update finds, and for what a statement has changed of the session. */
const [FOUND_ROWS, SESSION_TRACK] = [2, 1 << 23];

/** Refuses a connection whose driver was told not to ask for what is needed of all, and of those that are lent. */
export function checkFlags(client: object, use: "lent" | "within"): void {
  const { clientFlags: flags, queryFormat } = configOf(client);
  if (typeof queryFormat === "function") throw unfitSession("queryFormat", "a function", FORMAT_BEFORE);
  if (typeof flags !== "number") return;
  if ((flags & FOUND_ROWS) === 0) throw unfitSession("flags", "-FOUND_ROWS", LEAVE_ON);
  if (use === "lent" && (flags & SESSION_TRACK) === 0) throw unfitSession("flags", "-SESSION_TRACK", LEAVE_ON);
}

function configOf(client: object): { readonly clientFlags?: unknown; readonly queryFormat?: unknown } {
  return "config" in client && typeof client.config === "object" ? (client.config ?? {}) : {};
}

const LEAVE_ON = "Leave it on, as it is by default.";
/** The driver runs it on statements without values as well: on the store's, which have everything in their text. */
const FORMAT_BEFORE =
  "Leave it out, as it changes the store's statements as well, and format your own before you send them.";

/** Refuses a session that somebody may have set otherwise since it was looked at, by what the server says of it. */
export function checkEscapes({ serverStatus }: Pick<ResultSetHeader, "serverStatus">): void {
  if (!takesBackslashes(serverStatus)) throw unfitSession("sql_mode", "NO_BACKSLASH_ESCAPES", "Take it away.");
}

/** The same of all other settings, on which the registration depends. */
export function checkRegistered({ affectedRows }: Pick<ResultSetHeader, "affectedRows">): void {
  if (affectedRows === 0) throw setOtherwise();
}

function profileOf(variables: ReadonlyMap<string, string>, isReadCommitted: boolean): Profile {
  const isNamedTwice = (name: string): boolean =>
    name.startsWith("tx_") && variables.has(name.replace("tx_", "transaction_"));
  const putBack = [...variables].filter(([name]) => !NOT_PUT_BACK.includes(name) && !isNamedTwice(name));
  const clock = mayStopClock(variables) ? ", timestamp = default" : "";
  return {
    sqlMode: variables.get("sql_mode") ?? "",
    isReadCommitted,
    settings: assignments(putBack) + clock,
    needed: assignments([["sql_select_limit", NO_LIMIT]]) + clock,
    maxPacket: Number(variables.get("max_allowed_packet")),
  };
}

/** A session whose clock stands still, as tests have it, would see no lease end. MariaDB can forbid it, and the way back. */
function mayStopClock(variables: ReadonlyMap<string, string>): boolean {
  return (variables.get("secure_timestamp") ?? "NO") === "NO";
}

function assignments(variables: Iterable<readonly [name: string, value: string]>): string {
  return [...variables].map(([name, value]) => `${name} = ${/^[\d.]+$/.test(value) ? value : `'${value}'`}`).join(", ");
}

/** Of a transaction's variables MariaDB before 11.1 knows one name only, MySQL since 8.0 the other. */
function nameIn(variables: ReadonlyMap<string, string>, name: string): string {
  return variables.has(name) ? name : name.replace("transaction_", "tx_");
}

function modesOf(sqlMode: string): readonly string[] {
  return sqlMode.split(",").filter((mode) => mode !== "");
}

function usableModes(sqlMode: string): string {
  const modes = modesOf(sqlMode).filter((mode) => !REFUSED_MODES.includes(mode));
  const strict = modes.some((mode) => STRICT_MODES.includes(mode)) ? [] : STRICT_MODES.slice(0, 1);
  return [...modes, ...strict].join(",");
}

interface Variable {
  readonly Variable_name: string;
  readonly Value: string;
}

function asVariable(row: unknown): Variable {
  return row as Variable;
}

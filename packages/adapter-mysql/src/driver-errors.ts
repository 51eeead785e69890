import { isTidemarkError, TidemarkError } from "@tidemark/core";
import {
  busy,
  contention,
  type ErrorContext,
  idledTooLong,
  leftOpen,
  messageOf,
  readOnly,
  tooLarge,
  transactionRequired,
  type Translation,
  unavailable,
  unusable,
} from "./errors.ts";

/**
 * What the driver threw at one of our own statements, as callers know it. What has no name is returned as it is. `lost`
 * is what was said on the connection before, while nothing was asked of it: in a transaction, which idled.
 */
export function translate(error: unknown, context: ErrorContext, lost?: Error): unknown {
  if (isTidemarkError(error)) return error;
  if (isTidemarkError(lost)) return lost;
  if (lost !== undefined && codeOf(lost) === IDLED) return idledTooLong(context.idleInTransactionMs, lost);
  const code = codeOf(error) ?? codeOfMessage(error);
  if (code === undefined) return error;
  const known = EXACTLY[code] ?? CLASSES[stateOf(error).slice(0, 2)];
  return known === undefined ? error : known(error, context);
}

/**
 * The same for what the work on a lent transaction has thrown: the driver's error, one that a query builder has wrapped
 * around it, or anything else, such as a file that is not there. Of errors by themselves only the server's are ours, and
 * what the driver says of a connection that is over.
 */
export function translateThrown(thrown: unknown, context: ErrorContext, lost?: Error): unknown {
  let link = thrown;
  for (let depth = 0; depth < 10 && link instanceof Error && !isTidemarkError(link); depth++) {
    const known = lost !== undefined || isOfServer(link) ? translate(link, context, lost) : link;
    if (known !== link) return link === thrown ? known : causedBy(known, thrown);
    link = link.cause;
  }
  return thrown;
}

function isOfServer(error: Error): boolean {
  // The driver marks what ends its connections.
  if ("fatal" in error && error.fatal === true) return true;
  return "sqlState" in error || codeOf(error) === "PROTOCOL_CONNECTION_LOST" || CLOSED.test(error.message);
}

function causedBy(known: unknown, cause: unknown): unknown {
  return isTidemarkError(known) ? new TidemarkError(known.code, known.message, known.details, { cause }) : cause;
}

/**
 * The server's number of the error, or the code of the driver or of Node's network errors. What the driver calls the
 * numbers is no good: it has MySQL's names for MariaDB's as well. What the server says unasked has its number as a code.
 */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ("errno" in error && typeof error.errno === "number" && error.errno > 0) return String(error.errno);
  if (!("code" in error)) return undefined;
  return typeof error.code === "string" || typeof error.code === "number" ? String(error.code) : undefined;
}

function stateOf(error: unknown): string {
  return error instanceof Error && "sqlState" in error && typeof error.sqlState === "string" ? error.sqlState : "";
}

/** A table or the database is not there. */
export function isMissing(error: unknown): boolean {
  return ["1146", "1049"].includes(codeOf(error) ?? "");
}

/** A value was null that must not be. */
export function isNull(error: unknown): boolean {
  return codeOf(error) === "1048";
}

/** Whether there is no such connection any more as was to be ended. */
export function isOfNobody(error: unknown): boolean {
  return codeOf(error) === "1094";
}

/** The connection is gone, or something says so of its cause. */
export function isOfLoss(error: unknown): boolean {
  let link = error;
  for (let depth = 0; depth < 10 && link instanceof Error; depth++) {
    if (EXACTLY[codeOf(link) ?? codeOfMessage(link) ?? ""] === gone) return true;
    link = link.cause;
  }
  return false;
}

export function isDuplicate(error: unknown): boolean {
  return codeOf(error) === "1062";
}

/** Of an append: the index that says so is none of ours, but one that somebody has added to our tables. */
export function isRefusedByOthersIndex(error: unknown): boolean {
  if (!isDuplicate(error)) return false;
  const index = /'(?:[^']*\.)?([^'.]+)'[^']*$/.exec(messageOf(error))?.[1];
  return index !== undefined && !["PRIMARY", "event_id", "event_version"].includes(index);
}

/**
 * The server has rolled the transaction back in favour of another one: a deadlock; on MariaDB, a row that has changed
 * since the snapshot was taken; in a group, a conflict with what another member has committed.
 */
export function isDeadlock(error: unknown): boolean {
  return ["1213", "1020", "3101"].includes(codeOf(error) ?? "");
}

/** Somebody else kept a lock. The transaction goes on. MariaDB says of `nowait` what it says of waiting too long. */
export function isLockTimeout(error: unknown): boolean {
  return ["1205", "3572"].includes(codeOf(error) ?? "");
}

/** Of `release savepoint`: the transaction that has set it is over. */
export function isUnknownSavepoint(error: unknown): boolean {
  return codeOf(error) === "1305";
}

const untrusted = unusable(
  "TLS was not agreed on. Look at ssl of the connection: its ca, and the name in the certificate.",
);

const gone = unavailable(
  "the connection was refused or lost. Look at host, port and the server; the call may be repeated",
);

const locked = busy(
  "Somebody else kept a lock for longer than the call may wait. Look for a transaction that is left open; keep them " +
    "short, or raise waitMs, or innodb_lock_wait_timeout where connections are yours.",
);

const cancelled = busy(
  "The server cancelled the statement: max_execution_time, max_statement_time, or an operator. Raise the timeout, or " +
    "ask for less.",
);

const changed = contention("Another transaction has changed what this one works on.");

const full = unusable("Make room on the server's disk, or for its tables.");

const noLogin = unusable("Look at user, password and the hosts from which the user may connect.");

const noRight = unusable(
  "Grant the user what docs of the adapter list under roles, or open the store as a user who may do everything in the " +
    "database.",
);

const crowded = unavailable(
  "it has no connection left (max_connections, max_user_connections). Use fewer, or allow more",
);

/** The server's number for closing a connection on which nothing was asked for longer than wait_timeout. */
const IDLED = "4031";

const CLOSED = /^Can't (add new command when connection is|write) in closed state/;

const [LOST, NO_TLS, NO_WAITING, MISSPELT] = ["lost", "no TLS", "no waiting", "misspelt"];

const MESSAGES: readonly (readonly [RegExp, code: string])[] = [
  [CLOSED, LOST],
  [/^(Connection lost|Pool is closed|Query inactivity timeout|Client network socket disconnected)/, LOST],
  [/^(No connections available|Queue limit reached)/, NO_WAITING],
  [/^Server does not support secure connection/, NO_TLS],
  [/^Unknown (charset|SSL profile) /, MISSPELT],
];

/**
 * By the servers' numbers, which mean the same on both unless it is said here:
 * https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html, https://mariadb.com/kb/en/mariadb-error-codes/.
 * And by the codes of the driver and of Node.
 */
const EXACTLY: Readonly<Record<string, Translation>> = {
  "1020": changed,
  "1021": full,
  "1030": unusable("Look at the server's log, and at its disk."),
  "1037": unavailable("the server is out of memory"),
  "1038": unavailable("the server is out of memory to sort with"),
  "1040": crowded,
  "1041": unavailable("the server is out of memory"),
  "1044": noRight,
  "1045": noLogin,
  // A node of Galera that is not, or no longer, with the others.
  "1047": unavailable("the node is not ready to work with the others of its cluster"),
  "1049": unusable("Look at the database's name, or create it."),
  "1053": unavailable("it is shutting down"),
  "1077": unavailable("it is shutting down"),
  "1079": unavailable("it is shutting down"),
  "1104": unusable("Set sql_big_selects to 1, or max_join_size to its default, for the session."),
  // Whatever the server has no number for.
  "1105": (cause, context) =>
    unusable(
      /writeset size/.test(messageOf(cause))
        ? "Append fewer events at once, write less in a transaction, or raise wsrep_max_ws_size."
        : "Look at the server's log.",
    )(cause, context),
  "1114": full,
  "1129": unusable("Look why connections from here have failed; then, on the server: flush hosts."),
  "1130": noLogin,
  "1135": unavailable("the server cannot make another thread"),
  "1142": noRight,
  "1143": noRight,
  "1153": (cause) => tooLarge(cause),
  "1162": (cause) => tooLarge(cause),
  "1175": unusable("Set sql_safe_updates to 0 for the session."),
  "1180": (cause, context) => (isConflict(cause) ? changed : unavailable("the commit has failed"))(cause, context),
  "1203": crowded,
  "1205": locked,
  "1206": unavailable("its table of locks is full (innodb_buffer_pool_size)"),
  "1213": contention("Transactions were waiting for each other in a circle."),
  "1226": unavailable("a limit for the user is reached (max_user_connections, or so many statements an hour)"),
  "1227": noRight,
  "1231": unusable("Look at the connection's options, such as charset."),
  "1251": noLogin,
  "1290": (cause, context) =>
    /read-only/.test(messageOf(cause))
      ? readOnly(cause)
      : unusable("Look at the server's configuration.")(cause, context),
  "1301": (cause) => tooLarge(cause),
  "1317": cancelled,
  "1370": noRight,
  // Of an XA transaction that is idle or prepared.
  "1399": () => transactionRequired(),
  "1412": contention("A table was altered after the transaction had begun."),
  "1568": leftOpen,
  "1637": unavailable("it has too many transactions that are open"),
  "1665": unusable(
    "Set binlog_format to ROW, as it is by default: statements of READ COMMITTED cannot be logged otherwise.",
  ),
  "1698": noLogin,
  "1792": (cause) => readOnly(cause),
  "1820": noLogin,
  "1836": (cause) => readOnly(cause),
  "1862": noLogin,
  "1927": gone,
  "1969": cancelled,
  "3024": cancelled,
  "3032": unavailable("it is in offline mode"),
  // Of a group: before a commit, it has found out that it is not with the others.
  "3100": unavailable("the member could not agree with the others of its group"),
  "3101": changed,
  "3118": noLogin,
  "3159": unusable("It takes connections by TLS only: look at ssl of the connection."),
  "3572": locked,
  // Of a statement: nobody knows whether it was the first after a long time. It may be repeated.
  [IDLED]: gone,
  "4151": noLogin,
  AUTH_SWITCH_PLUGIN_ERROR: noLogin,
  HANDSHAKE_NO_SSL_SUPPORT: unusable("It does not speak TLS: look at ssl of the connection, and of the server."),
  // The driver gives this code to whatever goes wrong until TLS is agreed on.
  HANDSHAKE_SSL_ERROR: (cause, context) => (isLost(cause) ? gone : untrusted)(cause, context),
  HANDSHAKE_UNKNOWN_ERROR: gone,
  MYSQL_CLEAR_PASSWORD_NOT_ENABLED: noLogin,
  PROTOCOL_CONNECTION_LOST: gone,
  PROTOCOL_ERROR: gone,
  PROTOCOL_SEQUENCE_TIMEOUT: gone,
  PROTOCOL_UNEXPECTED_PACKET: gone,
  ECONNREFUSED: gone,
  ECONNRESET: gone,
  EHOSTUNREACH: gone,
  ENETUNREACH: gone,
  ENOENT: gone,
  ENOTFOUND: gone,
  EAI_AGAIN: gone,
  EPIPE: gone,
  ETIMEDOUT: gone,
  CERT_HAS_EXPIRED: untrusted,
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  ERR_TLS_CERT_ALTNAME_INVALID: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  [LOST]: gone,
  [NO_TLS]: unusable("It does not speak TLS: look at ssl of the connection, and of the server."),
  [NO_WAITING]: busy(
    "The pool has no connection to spare, and was told not to wait for one, or not with so many others " +
      "(waitForConnections, queueLimit, connectionLimit).",
  ),
  [MISSPELT]: unusable("Look at the connection's options."),
};

/** By the first two characters of the server's state. */
const CLASSES: Readonly<Record<string, Translation>> = { "08": gone, "40": changed };

/** What the driver says without a code. */
function codeOfMessage(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return MESSAGES.find(([message]) => message.test(error.message))?.[1];
}

/** On a node of Galera, another one was first; the number is the engine's. */
function isConflict(error: unknown): boolean {
  return /\b149\b|deadlock/i.test(messageOf(error));
}

function isLost(error: unknown): boolean {
  return /ECONNRESET|EPIPE|ETIMEDOUT|socket disconnected|socket hang up/.test(messageOf(error));
}

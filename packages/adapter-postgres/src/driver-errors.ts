import { isTidemarkError, TidemarkError } from "@tidemark/core";
import {
  busy,
  contention,
  type ErrorContext,
  idledTooLong,
  onStandby,
  transactionEnded,
  type Translation,
  unavailable,
  unusable,
} from "./errors.ts";

/**
 * What the driver threw at one of our own statements, as callers know it. What has no name is returned as it is. `lost`
 * is what the server said on the connection before, while nothing was asked of it.
 */
export function translate(error: unknown, context: ErrorContext, lost?: Error): unknown {
  if (isTidemarkError(error)) return error;
  const idled = [error, lost].find((one) => codeOf(one) === "25P03");
  if (idled !== undefined) return idledTooLong(context.idleInTransactionMs, idled);
  const code = codeOf(error) ?? codeOfMessage(error);
  if (code === undefined) return error;
  const known = EXACTLY[code] ?? CLASSES[code.slice(0, 2)];
  return known === undefined ? error : known(error, context);
}

/**
 * The same for what the work on a lent transaction has thrown: the driver's error, one that a query builder has wrapped
 * around it, or anything else, such as a file that is not there. Of errors by themselves only the server's are ours.
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
  return "severity" in error && codeOf(error) !== undefined;
}

function causedBy(known: unknown, cause: unknown): unknown {
  return isTidemarkError(known) ? new TidemarkError(known.code, known.message, known.details, { cause }) : cause;
}

/** The state that the server gave the error, or the code of Node's network errors. */
function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** A table, function or schema of ours is not there. */
export function isMissing(error: unknown): boolean {
  return ["42P01", "42883", "3F000"].includes(codeOf(error) ?? "");
}

/** The quick way of appending does not know how to decide the batch: somebody has written at the same moment, or beside us. */
export function isUndecided(error: unknown): boolean {
  const code = codeOf(error);
  return code === "TM003" || code === "55P03" || code === "23505";
}

export function isDuplicate(error: unknown): boolean {
  return codeOf(error) === "23505";
}

export function isLockTimeout(error: unknown): boolean {
  return codeOf(error) === "55P03";
}

const otherStatements = unusable(
  "The connection's prepared statements are not its own, as behind a pooler in transaction mode: open the store with " +
    "preparedStatements: false, or let the pooler keep them apart (PgBouncer 1.21 and newer: max_prepared_statements).",
);

const untrusted = unusable(
  "The server's certificate is not trusted. Look at ssl of the connection: its ca, and the name in the certificate.",
);

const gone = unavailable(
  "the connection was refused or lost. Look at host, port and the server; the call may be repeated",
);

const LOST = "08006";
const [NO_TLS, NO_LOGIN] = ["no TLS", "no login"];

const MESSAGES: readonly (readonly [RegExp, code: string])[] = [
  [
    /^(Connection terminated|Client has encountered a connection error|Client was closed|timeout exceeded when trying to connect|timeout expired|Query read timeout|Cannot use a pool after calling end|Client network socket disconnected)/,
    LOST,
  ],
  [/^The server does not support SSL/, NO_TLS],
  [/^SASL: |^Password must be a string/, NO_LOGIN],
];

/** By the server's states: https://www.postgresql.org/docs/current/errcodes-appendix.html, and Node's. */
const EXACTLY: Readonly<Record<string, Translation>> = {
  "08P01": unusable("Look at the connection's options, and at what a pooler in between supports."),
  "25P02": (cause) => transactionEnded(cause),
  "25006": unavailable("the server is read-only, as a standby is. The primary is elsewhere, or not promoted yet"),
  // A pooler has given the connection's prepared statements to somebody else, or somebody else's to the connection.
  "26000": otherStatements,
  "42P05": otherStatements,
  "28000": unusable("Look at user, database and the server's pg_hba.conf."),
  "28P01": unusable("Look at user and password."),
  "3D000": unusable("Look at the database's name, or create it."),
  "40001": contention("Another transaction has changed what this one works on."),
  "40P01": contention("Transactions were waiting for each other in a circle."),
  "42501": unusable(
    "Grant the role what docs of the adapter list under roles, or open the store as the schema's owner.",
  ),
  "53100": unusable("Make room on the server's disk."),
  "53200": unavailable("the server is out of memory, or its table of locks is full (max_locks_per_transaction)"),
  "53300": unavailable("it has no connection left (max_connections). Use fewer, or a pooler"),
  "53400": unavailable("a limit of its configuration is reached"),
  "55P03": busy(
    "Somebody else kept a lock for longer than the call may wait. Look for a transaction that is left open; keep them " +
      "short, or raise waitMs.",
  ),
  "57014": busy(
    "The server cancelled the statement: statement_timeout, or an operator. Raise the timeout, or ask for less.",
  ),
  "57P01": gone,
  "57P02": gone,
  "57P03": unavailable("it is starting up or shutting down"),
  "57P05": gone,
  TM001: unusable(
    'The frontier needs READ COMMITTED. Set default_transaction_isolation to "read committed" for the role or the pool.',
  ),
  TM002: onStandby,
  TM004: (cause) => transactionEnded(cause),
  ECONNREFUSED: gone,
  ECONNRESET: gone,
  EHOSTUNREACH: gone,
  ENETUNREACH: gone,
  // Of a socket. Of a file: a certificate that the URL names.
  ENOENT: (cause, context) => (isOfFile(cause) ? unusable("Look at the files that ssl names.") : gone)(cause, context),
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
  [NO_TLS]: unusable("It does not speak TLS: look at ssl of the connection, and of the server."),
  [NO_LOGIN]: unusable("Look at user and password."),
};

const CLASSES: Readonly<Record<string, Translation>> = { "08": gone };

/** What the driver says without a code. */
function codeOfMessage(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return MESSAGES.find(([message]) => message.test(error.message))?.[1];
}

function isOfFile(error: unknown): boolean {
  return error instanceof Error && "syscall" in error && error.syscall === "open";
}

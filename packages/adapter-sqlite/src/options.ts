import { type Ident, ident, invalidArgument } from "@tidemark/sql-kit";
import type { Database } from "better-sqlite3";

/**
 * Where the log is. `file` is a path, or `":memory:"`; the store opens and closes it. `database` is a better-sqlite3
 * database of yours, which is never closed: beside one of a file the store opens connections of its own, one in memory
 * it shares with you.
 */
export type SqliteLocation =
  | { readonly file: string; readonly database?: undefined }
  | { readonly database: Database; readonly file?: undefined };

export type SqliteOptions = SqliteLocation & {
  /** What the names of all tables begin with. Stores with different prefixes do not meet. Default `"tidemark_"`. */
  readonly prefix?: string | undefined;
  /**
   * `"full"`: what was committed survives a power failure. `"normal"`: it survives a crash of the process, but the
   * last commits before a power failure may be lost. Default `"full"`.
   */
  readonly synchronous?: "full" | "normal" | undefined;
  /** How long a call waits for a lock that somebody outside of the store holds, in milliseconds. Default 10 000. */
  readonly waitMs?: number | undefined;
};

/** `lone`: there is one connection for everything. `borrowed`: the caller's database, if one was given. */
export interface ResolvedOptions {
  readonly file: string;
  readonly borrowed: Database | undefined;
  readonly lone: boolean;
  readonly prefix: Ident;
  readonly synchronous: "full" | "normal";
  readonly waitMs: number;
}

export function resolveOptions(options: SqliteOptions): ResolvedOptions {
  if (typeof options !== "object" || options === null)
    throw invalidArgument("options", "Give an object with file or database.");
  const { file, database: borrowed, synchronous = "full", waitMs = 10_000 } = options;
  if ((file === undefined) === (borrowed === undefined)) {
    throw invalidArgument("file", 'Give either file, a path or ":memory:", or database, a better-sqlite3 database.');
  }
  if (file !== undefined && (typeof file !== "string" || file.trim() === "")) {
    throw invalidArgument("file", 'file is a path or ":memory:", and never empty.');
  }
  if (borrowed !== undefined && typeof borrowed.prepare !== "function") {
    throw invalidArgument("database", "database is what `new Database(path)` of better-sqlite3 returns.");
  }
  if (borrowed?.readonly === true)
    throw invalidArgument("database", "database is open for reading only. Open it without readonly.");
  if (synchronous !== "full" && synchronous !== "normal") {
    throw invalidArgument("synchronous", `synchronous is "full" or "normal", got ${JSON.stringify(synchronous)}.`);
  }
  if (!Number.isSafeInteger(waitMs) || waitMs < 0) {
    throw invalidArgument("waitMs", `waitMs is a whole number of milliseconds from 0, got ${String(waitMs)}.`);
  }
  return Object.freeze({
    file: borrowed?.name ?? file ?? "",
    borrowed,
    lone: borrowed?.memory ?? file?.trim() === ":memory:",
    prefix: prefixIdent(options.prefix ?? DEFAULT_PREFIX),
    synchronous,
    waitMs,
  });
}

const DEFAULT_PREFIX = "tidemark_";

/** Checks a table prefix. Throws INVALID_ARGUMENT. */
function prefixIdent(name: string): Ident {
  return ident(name, {
    argument: "prefix",
    pattern: /^(?!sqlite_)[a-z_][a-z0-9_]{0,40}$/i,
    words: 'at most 41 letters, digits and underscores, does not begin with a digit, nor with "sqlite_"',
  });
}

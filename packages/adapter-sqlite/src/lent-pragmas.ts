import { outlasting } from "./errors.ts";

/**
 * Throws UNSUPPORTED for a pragma that is given a value, because nearly all of them set something of the connection,
 * which serves other transactions afterwards. Asking for a value, or setting what is part of the transaction, is fine.
 */
export function refuseSettings(source: string): void {
  if (!MENTIONS_PRAGMA.test(source)) return;
  for (const [, name = ""] of withoutNoise(source).matchAll(PRAGMA_WITH_VALUE)) {
    const plain = name.replaceAll(QUOTES, "").toLowerCase();
    if (!WITHIN_TRANSACTION.has(plain)) throw outlasting(`pragma ${plain} with a value`);
  }
}

const MENTIONS_PRAGMA = /pragma/i;
const COMMENTS_AND_QUOTED = /--[^\n]*|\/\*[^]*?(?:\*\/|$)|('(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])/g;
const PRAGMA_WITH_VALUE =
  /(?:^|;)\s*(?:explain\s+(?:query\s+plan\s+)?)?pragma\s*(?:[^\s=(;.]+\s*\.\s*)?([^\s=(;.]+)\s*[=(]/gi;
const QUOTES = /['"`[\]]/g;

const WITHIN_TRANSACTION: ReadonlySet<string> = new Set([
  // Their argument says what to look at.
  "table_info",
  "table_xinfo",
  "table_list",
  "index_info",
  "index_xinfo",
  "index_list",
  "foreign_key_list",
  "foreign_key_check",
  "integrity_check",
  "quick_check",
  // Over with the transaction, or stored by it.
  "defer_foreign_keys",
  "user_version",
  "application_id",
]);

/** Without comments, and without what could be taken for the end of a statement or the beginning of a value. */
function withoutNoise(source: string): string {
  return source.replaceAll(COMMENTS_AND_QUOTED, (_match, quoted: string | undefined) =>
    quoted === undefined ? " " : quoted.replaceAll(/[\s;=(.]/g, "_"),
  );
}

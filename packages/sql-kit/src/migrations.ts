import { TidemarkError } from "@tidemark/core";

/** One step of the schema. Released ones are never edited; a change of the schema is a new one. */
export interface Migration {
  /** 1, 2, 3 … */
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

/** What a schema mismatch says besides the two versions. */
export interface SchemaWords {
  /** The package to update: "@tidemark/adapter-sqlite". */
  readonly package: string;
  /** Where there is no schema: "There is no schema with this prefix". */
  readonly missing: string;
  /** What to look at when the schema is elsewhere: "give the right file and prefix". */
  readonly elsewhere: string;
}

/** `stored` 0: there is no schema. */
export function schemaMismatch(stored: number, needed: number, words: SchemaWords): TidemarkError<"SCHEMA_MISMATCH"> {
  const found = stored === 0 ? words.missing : `The schema has version ${stored}`;
  const message =
    stored > needed
      ? `The schema has version ${stored}, this package knows up to ${needed}. Update ${words.package}.`
      : `${found}; version ${needed} is needed. Open the store once with schema: "migrate" (the default), or ${words.elsewhere}.`;
  return new TidemarkError("SCHEMA_MISMATCH", message, { stored, needed });
}

/** The table of migrations is there, and not what a migration leaves behind. `instead`: what to give or to drop, as advice. */
export function emptySchema(needed: number, instead: string): TidemarkError<"SCHEMA_MISMATCH"> {
  return new TidemarkError(
    "SCHEMA_MISMATCH",
    "The table of migrations is there but empty, so nobody knows what else is. Restore its rows from a backup, or give " +
      `${instead}.`,
    { stored: 0, needed },
  );
}

/** Whether something is missing that migrating adds. Throws SCHEMA_MISMATCH where it may not or cannot. */
export function isIncomplete(stored: number, needed: number, schema: "migrate" | "check", words: SchemaWords): boolean {
  if (stored === needed) return false;
  if (stored > needed || schema === "check") throw schemaMismatch(stored, needed, words);
  return true;
}

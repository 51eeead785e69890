import { TidemarkError } from "@tidemark/core";

/** A name that is safe to be part of a statement. Only {@link ident} makes one. */
export type Ident = string & { readonly "tidemark.ident": true };

/** Which names an option may have: the pattern that they match, and the same in words. */
export interface NameRule {
  /** The option's name, for messages. */
  readonly argument: string;
  readonly pattern: RegExp;
  /** "at most 41 letters, digits and underscores, and does not begin with a digit". */
  readonly words: string;
}

/** Checks a name that becomes part of statements. Throws INVALID_ARGUMENT. */
export function ident(name: string, { argument, pattern, words }: NameRule): Ident {
  if (typeof name === "string" && pattern.test(name)) return name as Ident;
  throw new TidemarkError("INVALID_ARGUMENT", `${argument} is ${words}.`, { argument });
}

/** The same name in the standard's quotes, for one that may be a key word. */
export function quoted(name: Ident): Ident {
  return `"${name}"` as Ident;
}

/** Statements are written with a default name, so that they can be pasted into a console; another takes its place. */
export function rename(sql: string, written: string | RegExp, name: Ident): string {
  return sql.replaceAll(written, name);
}

/** `statements` with every text renamed. */
export function renameAll<Name extends string>(
  statements: Readonly<Record<Name, string>>,
  written: string | RegExp,
  name: Ident,
): Readonly<Record<Name, string>> {
  const entries = Object.entries<string>(statements).map(([key, sql]) => [key, rename(sql, written, name)] as const);
  return Object.fromEntries(entries) as Record<Name, string>;
}

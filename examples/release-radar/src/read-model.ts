import type { Store } from "@tidemark/core";
import type { Database } from "better-sqlite3";

export interface MonthRow {
  readonly package: string;
  /** `"2024-03"`. */
  readonly month: string;
  readonly stable: number;
  readonly prereleases: number;
}

export interface VersionRow {
  readonly package: string;
  readonly releases: number;
  /** The highest stable version by semver precedence; null while there are only prereleases. */
  readonly current: string | null;
  /** The version published last, stable or not. */
  readonly latest: string;
}

export interface PaceRow {
  readonly package: string;
  readonly releases: number;
  /** `"2024-03-31"`. */
  readonly first_day: string;
  readonly last_day: string;
  /** Sum of the days from each release to the next one. */
  readonly days_between: number;
  readonly longest_gap: number;
  /** The version that ended the longest gap; the first of them, where several were as long. */
  readonly longest_gap_before: string | null;
}

/** The tables of the radar, ordered by their keys. */
export interface ReadModel {
  readonly months: readonly MonthRow[];
  readonly versions: readonly VersionRow[];
  readonly paces: readonly PaceRow[];
}

export type TableNames = { readonly [Table in keyof ReadModel]: string };

/** Each version of the read model has its own tables, so that a new one is built while the old one is in use. */
export function tablesOf(version: number): TableNames {
  if (!Number.isSafeInteger(version) || version < 1)
    throw new RangeError(`A version is a whole number from 1, got ${version}.`);
  return {
    months: `radar_v${version}_month`,
    versions: `radar_v${version}_version`,
    paces: `radar_v${version}_pace`,
  };
}

/** Creates the tables unless they are there. */
export async function createTables(store: Pick<Store<Database>, "transaction">, version: number): Promise<void> {
  const { months, versions, paces } = tablesOf(version);
  await store.transaction(async (tx) => {
    tx.exec(`
      create table if not exists ${months} (
        package text not null,
        month text not null,
        stable integer not null,
        prereleases integer not null,
        primary key (package, month)
      ) without rowid;
      create table if not exists ${versions} (
        package text primary key,
        releases integer not null,
        current text,
        latest text not null
      ) without rowid;
      create table if not exists ${paces} (
        package text primary key,
        releases integer not null,
        first_day text not null,
        last_day text not null,
        days_between integer not null,
        longest_gap integer not null,
        longest_gap_before text
      ) without rowid;`);
  });
}

/** Whether anybody has created them. All of them are created in one transaction. */
export function hasTables(db: Database, version: number): boolean {
  return db.prepare("select 1 from sqlite_schema where name = ?").get(tablesOf(version).months) !== undefined;
}

export function readTables(db: Database, version: number): ReadModel {
  const { months, versions, paces } = tablesOf(version);
  return {
    months: db.prepare<[], MonthRow>(`select * from ${months} order by package, month`).all(),
    versions: db.prepare<[], VersionRow>(`select * from ${versions} order by package`).all(),
    paces: db.prepare<[], PaceRow>(`select * from ${paces} order by package`).all(),
  };
}

/** How many releases the tables count in all. */
export function countReleases(db: Database, version: number): number {
  const { versions } = tablesOf(version);
  return db.prepare<[], { sum: number }>(`select coalesce(sum(releases), 0) as sum from ${versions}`).get()?.sum ?? 0;
}

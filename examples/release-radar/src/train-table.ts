import type { Store } from "@tidemark/core";
import type { Database } from "better-sqlite3";

/** A stable release that prereleases led up to. */
export interface TrainRow {
  readonly package: string;
  /** The stable version. */
  readonly train: string;
  /** Of its first prerelease: `"2024-03-31"`. */
  readonly first_day: string;
  readonly stable_day: string;
  readonly days: number;
  readonly prereleases: number;
}

export const INSERT_TRAIN = `
  insert into radar_train (package, train, first_day, stable_day, days, prereleases)
  values (@package, @train, @first_day, @stable_day, @days, @prereleases)`;

/** Creates the saga's table unless it is there. */
export async function createTrainTable(store: Pick<Store<Database>, "transaction">): Promise<void> {
  await store.transaction(async (tx) => {
    tx.exec(`
      create table if not exists radar_train (
        package text not null,
        train text not null,
        first_day text not null,
        stable_day text not null,
        days integer not null,
        prereleases integer not null,
        primary key (package, train)
      ) without rowid`);
  });
}

/** Ordered by their keys. Undefined when nobody has created the table. */
export function readTrains(db: Database): readonly TrainRow[] | undefined {
  if (db.prepare("select 1 from sqlite_schema where name = 'radar_train'").get() === undefined) return undefined;
  return db.prepare<[], TrainRow>("select * from radar_train order by package, train").all();
}

import { createSqliteStore, type SqliteStore } from "@tidemark/adapter-sqlite";
import { consume } from "@tidemark/core";
import { describe, expect, it } from "vitest";
import { expectedTrains } from "../src/expected.ts";
import { importReleases } from "../src/import-releases.ts";
import type { Release } from "../src/releases.ts";
import { createTrainTable, readTrains, type TrainRow } from "../src/train-table.ts";
import { defineTrains, readArrivals, toArrival } from "../src/trains.ts";

const releases: readonly Release[] = [
  release("other", "2.0.0-rc.1", "2023-12-30"),
  release("some", "1.0.0-alpha.1", "2024-01-01"),
  release("some", "0.9.9", "2024-01-02"),
  release("some", "1.0.0-alpha.2", "2024-01-31"),
  release("other", "2.0.0", "2024-02-01"),
  release("some", "1.1.0-beta.1", "2024-02-02"),
  release("some", "1.0.0", "2024-03-01"),
  release("some", "1.0.1", "2024-03-02"),
];
const trains: readonly TrainRow[] = [
  { package: "other", train: "2.0.0", first_day: "2023-12-30", stable_day: "2024-02-01", days: 33, prereleases: 1 },
  { package: "some", train: "1.0.0", first_day: "2024-01-01", stable_day: "2024-03-01", days: 60, prereleases: 2 },
];

function release(name: string, version: string, day: string): Release {
  return { package: name, version, publishedOn: new Date(day), precision: "day" };
}

async function withLog(test: (store: SqliteStore) => Promise<void>): Promise<void> {
  await using store = await createSqliteStore({ file: ":memory:" });
  await importReleases(store, releases);
  await createTrainTable(store);
  await test(store);
}

describe("the expected trains", () => {
  it("are the stable releases that prereleases led up to", () => {
    expect(expectedTrains(releases).toSorted((a, b) => (a.package < b.package ? -1 : 1))).toEqual(trains);
  });
});

describe("the trains", () => {
  it("arrive once each, wherever one run ends and the next begins", async () => {
    for (let first = 1; first <= releases.length; first++) {
      await withLog(async (store) => {
        await consume(store, defineTrains(), { maxEvents: first });
        expect(await consume(store, defineTrains())).toMatchObject({ kind: "caught-up" });
        expect(await store.transaction(async (tx) => readTrains(tx))).toEqual(trains);
        expect(await readArrivals(store)).toEqual(trains.map(toArrival));
      });
    }
  });

  it("leave a saga only where they are under way", () =>
    withLog(async (store) => {
      await consume(store, defineTrains());
      const underWay = [];
      for await (const saga of store.sagas.list(defineTrains().saga)) underWay.push(saga);
      expect(underWay).toMatchObject([
        { associations: { train: "some@1.1.0" }, data: { firstDay: "2024-02-02", prereleases: 1 }, version: 1 },
      ]);
    }));
});

import { describe, expect, it } from "vitest";
import { compareTables } from "../src/compare.ts";
import { toEvent } from "../src/events.ts";
import { expectedTables, isStable } from "../src/expected.ts";
import { readReleases, type Release } from "../src/releases.ts";

function release(version: string, day: string): Release {
  return { package: "some", version, publishedOn: new Date(day), precision: "day" };
}

describe("the expected tables", () => {
  it("have the highest stable version as the current one, not the one published last", () => {
    const tables = expectedTables([
      release("2.0.0", "2024-01-01"),
      release("10.0.0-beta.1", "2024-01-02"),
      release("9.9.9", "2024-01-03"),
      release("2.0.1", "2024-01-04"),
    ]);
    expect(tables.versions).toEqual([{ package: "some", releases: 4, current: "9.9.9", latest: "2.0.1" }]);
  });

  it("have no current version where there are only prereleases", () => {
    expect(expectedTables([release("1.0.0-alpha", "2024-01-01")]).versions[0]?.current).toBeNull();
  });

  it("count releases by month and days between releases", () => {
    const tables = expectedTables([
      release("1.0.0-rc.1", "2024-01-31"),
      release("1.0.0", "2024-01-31"),
      release("1.0.1", "2024-03-01"),
    ]);
    expect(tables.months).toEqual([
      { package: "some", month: "2024-01", stable: 1, prereleases: 1 },
      { package: "some", month: "2024-03", stable: 1, prereleases: 0 },
    ]);
    expect(tables.paces).toEqual([
      {
        package: "some",
        releases: 3,
        first_day: "2024-01-31",
        last_day: "2024-03-01",
        days_between: 30,
        longest_gap: 30,
        longest_gap_before: "1.0.1",
      },
    ]);
  });
});

describe("a version", () => {
  it("that is only loosely semantic is understood", () => {
    expect(isStable("3.0.0rc5")).toBe(false);
    expect(toEvent(release("3.0.0rc5", "2024-01-01")).data).toMatchObject({ prerelease: "rc5", train: "3.0.0" });
  });

  it("that is not semantic at all counts as a prerelease", () => {
    expect(isStable("latest")).toBe(false);
    expect(toEvent(release("latest", "2024-01-01")).data).toMatchObject({ prerelease: "latest", train: "latest" });
  });
});

describe("the comparison", () => {
  const expected = expectedTables(readReleases(200));

  it("finds nothing where there is nothing to find", () => {
    expect(compareTables(expected, structuredClone(expected)).differences).toEqual([]);
  });

  it("finds a missing row, a row too many and a changed column", () => {
    const [first, ...others] = expected.months;
    const months = [...others, { package: "stranger", month: "2024-01", stable: 1, prereleases: 0 }];
    const paces = expected.paces.map((row, index) =>
      index === 0 ? { ...row, days_between: row.days_between + 1 } : row,
    );
    const { differences } = compareTables(expected, { ...expected, months, paces });
    expect(differences).toEqual([
      { table: "months", expected: first, found: undefined },
      { table: "months", expected: undefined, found: months.at(-1) },
      { table: "paces", expected: expected.paces[0], found: paces[0] },
    ]);
  });
});

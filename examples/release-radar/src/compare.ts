import type { TrainArrived } from "./events.ts";
import type { ReadModel } from "./read-model.ts";
import type { TrainRow } from "./train-table.ts";

/** What is compared: the tables of the radar, and what the saga says wherever it has run. */
export interface Tables extends ReadModel {
  readonly trains?: readonly TrainRow[] | undefined;
  /** The same trains, as the saga's events tell them. */
  readonly arrivals?: readonly TrainArrived[] | undefined;
}

type Row = NonNullable<Tables[keyof Tables]>[number];

/** A row that is not as expected; undefined on the side that has no such row. */
export interface Difference {
  readonly table: keyof Tables;
  readonly expected: Row | undefined;
  readonly found: Row | undefined;
}

export interface Comparison {
  /** Rows that were expected, by table; undefined for what was not compared. */
  readonly rows: { readonly [Table in keyof Tables]-?: number | undefined };
  readonly differences: readonly Difference[];
}

/** Compares row by row and column by column. What is left out of `expected` is not compared. */
export function compareTables(expected: Tables, found: Tables): Comparison {
  return {
    rows: {
      months: expected.months.length,
      versions: expected.versions.length,
      paces: expected.paces.length,
      trains: expected.trains?.length,
      arrivals: expected.arrivals?.length,
    },
    differences: [
      ...compareRows("months", expected.months, found.months, (row) => `${row.package} ${row.month}`),
      ...compareRows("versions", expected.versions, found.versions, (row) => row.package),
      ...compareRows("paces", expected.paces, found.paces, (row) => row.package),
      ...compareTrains("trains", expected.trains, found.trains),
      ...compareTrains("arrivals", expected.arrivals, found.arrivals),
    ],
  };
}

function compareTrains<T extends TrainRow | TrainArrived>(
  table: "trains" | "arrivals",
  expected: readonly T[] | undefined,
  found: readonly T[] = [],
): readonly Difference[] {
  return expected === undefined ? [] : compareRows(table, expected, found, (row) => `${row.package} ${row.train}`);
}

function compareRows<T extends Row>(
  table: keyof Tables,
  expected: readonly T[],
  found: readonly T[],
  keyOf: (row: T) => string,
): readonly Difference[] {
  const rest = new Map<string, T>();
  const differences: Difference[] = [];
  for (const row of found) {
    if (rest.has(keyOf(row))) differences.push({ table, expected: undefined, found: row });
    else rest.set(keyOf(row), row);
  }
  for (const row of expected) {
    const other = rest.get(keyOf(row));
    rest.delete(keyOf(row));
    if (other === undefined || !isSame(row, other)) {
      differences.push({ table, expected: row, found: other });
    }
  }
  for (const row of rest.values()) differences.push({ table, expected: undefined, found: row });
  return differences;
}

function isSame(a: Row, b: Row): boolean {
  const columns = new Map(Object.entries(b));
  return (
    Object.entries(a).length === columns.size && Object.entries(a).every(([name, value]) => columns.get(name) === value)
  );
}

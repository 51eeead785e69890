import type { ReadModel } from "./read-model.ts";

type Row = ReadModel[keyof ReadModel][number];

/** A row that is not as expected; undefined on the side that has no such row. */
export interface Difference {
  readonly table: keyof ReadModel;
  readonly expected: Row | undefined;
  readonly found: Row | undefined;
}

export interface Comparison {
  /** Rows that were expected, by table. */
  readonly rows: { readonly [Table in keyof ReadModel]: number };
  readonly differences: readonly Difference[];
}

/** Compares two read models row by row and column by column. */
export function compareTables(expected: ReadModel, found: ReadModel): Comparison {
  return {
    rows: { months: expected.months.length, versions: expected.versions.length, paces: expected.paces.length },
    differences: [
      ...compareRows("months", expected.months, found.months, (row) => `${row.package} ${row.month}`),
      ...compareRows("versions", expected.versions, found.versions, (row) => row.package),
      ...compareRows("paces", expected.paces, found.paces, (row) => row.package),
    ],
  };
}

function compareRows<T extends Row>(
  table: keyof ReadModel,
  expected: readonly T[],
  found: readonly T[],
  keyOf: (row: T) => string,
): readonly Difference[] {
  const rest = new Map(found.map((row) => [keyOf(row), row]));
  const differences: Difference[] = [];
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

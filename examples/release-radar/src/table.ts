import type { ReadModel } from "./read-model.ts";
import { count, type Terminal } from "./terminal.ts";

interface Column {
  readonly title: string;
  readonly align: "left" | "right";
  readonly cells: readonly string[];
}

const LONGEST_CELL = 25;
const GAP = "  ";

/** One line for each package. On a narrow terminal the last columns are left out. */
export function showPackages(terminal: Terminal, { versions, paces }: ReadModel): void {
  const paceOf = new Map(paces.map((pace) => [pace.package, pace]));
  const rows = versions.map((row) => ({ ...row, pace: paceOf.get(row.package) }));
  const columns: readonly Column[] = [
    { title: "package", align: "left", cells: rows.map((row) => row.package) },
    { title: "releases", align: "right", cells: rows.map((row) => count(row.releases)) },
    { title: "current", align: "left", cells: rows.map((row) => row.current ?? "(none stable)") },
    {
      title: "one every",
      align: "right",
      cells: rows.map((row) => meanDays(row.pace?.days_between ?? 0, row.releases)),
    },
    { title: "longest gap", align: "right", cells: rows.map((row) => `${count(row.pace?.longest_gap ?? 0)} days`) },
    { title: "latest", align: "left", cells: rows.map((row) => row.latest) },
  ];
  showTable(terminal, columns);
}

function meanDays(days: number, releases: number): string {
  return releases < 2 ? "–" : `${(days / (releases - 1)).toFixed(1)} days`;
}

function showTable(terminal: Terminal, columns: readonly Column[]): void {
  const shown = fitting(columns, terminal.width - 3);
  const rows = shown[0]?.cells.length ?? 0;
  terminal.line(
    `   ${terminal.paint(
      "dim",
      layOut(shown, (column) => column.title),
    )}`,
  );
  for (let row = 0; row < rows; row++) terminal.line(`   ${layOut(shown, (column) => column.cells[row] ?? "")}`);
}

function fitting(columns: readonly Column[], width: number): readonly Column[] {
  let used = 0;
  const end = columns.findIndex((column) => (used += widthOf(column) + GAP.length) - GAP.length > width);
  return end === -1 ? columns : columns.slice(0, Math.max(1, end));
}

function layOut(columns: readonly Column[], cellOf: (column: Column) => string): string {
  return columns
    .map((column) => {
      const cell = shorten(cellOf(column));
      return column.align === "left" ? cell.padEnd(widthOf(column)) : cell.padStart(widthOf(column));
    })
    .join(GAP)
    .trimEnd();
}

function widthOf(column: Column): number {
  return Math.max(...[column.title, ...column.cells].map((cell) => shorten(cell).length));
}

function shorten(cell: string): string {
  return cell.length <= LONGEST_CELL ? cell : `${cell.slice(0, LONGEST_CELL - 1)}…`;
}

import type { Comparison, Difference } from "./compare.ts";
import type { ReadModel } from "./read-model.ts";
import { count, plural, type Terminal } from "./terminal.ts";

const TITLES: { readonly [Table in keyof ReadModel]: string } = {
  months: "releases per package and month",
  versions: "current versions",
  paces: "pace between releases",
};

const SHOWN = 20;

/** Says what the comparison has found. Returns whether everything is as expected. */
export function showComparison(terminal: Terminal, { rows, differences }: Comparison): boolean {
  for (const table of ["months", "versions", "paces"] as const) {
    const wrong = differences.filter((difference) => difference.table === table).length;
    const verdict = wrong === 0 ? terminal.paint("green", "same") : terminal.paint("red", `${count(wrong)} different`);
    terminal.line(`   ${TITLES[table].padEnd(30)}  ${count(rows[table]).padStart(6)} rows  ${verdict}`);
  }
  const all = plural(rows.months + rows.versions + rows.paces, "row");
  if (differences.length === 0) {
    terminal.line(`   ${terminal.paint("green", `✓ All ${all} are what the input files say.`)}`);
    return true;
  }
  terminal.line(`   ${terminal.paint("red", `✗ ${plural(differences.length, "difference")} in ${all}:`)}`);
  for (const difference of differences.slice(0, SHOWN)) showDifference(terminal, difference);
  if (differences.length > SHOWN) terminal.line(`     … and ${count(differences.length - SHOWN)} more`);
  return false;
}

function showDifference(terminal: Terminal, { table, expected, found }: Difference): void {
  terminal.line(`     ${TITLES[table]}`);
  terminal.line(`       expected  ${expected === undefined ? "no such row" : JSON.stringify(expected)}`);
  terminal.line(`       found     ${found === undefined ? "no such row" : JSON.stringify(found)}`);
}

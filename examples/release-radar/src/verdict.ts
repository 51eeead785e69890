import type { Comparison, Difference, Tables } from "./compare.ts";
import { count, plural, type Terminal } from "./terminal.ts";

const TITLES: { readonly [Table in keyof Tables]-?: string } = {
  months: "releases per package and month",
  versions: "current versions",
  paces: "pace between releases",
  trains: "prerelease trains",
  arrivals: "events of their arrival",
};

const SHOWN = 20;

/** Says what the comparison has found. Returns whether everything is as expected. */
export function showComparison(terminal: Terminal, { rows, differences }: Comparison): boolean {
  let sum = 0;
  for (const table of ["months", "versions", "paces", "trains", "arrivals"] as const) {
    const expected = rows[table];
    if (expected === undefined) continue;
    sum += expected;
    const wrong = differences.filter((difference) => difference.table === table).length;
    const verdict = wrong === 0 ? terminal.paint("green", "same") : terminal.paint("red", `${count(wrong)} different`);
    terminal.line(`   ${TITLES[table].padEnd(30)}  ${count(expected).padStart(6)} rows  ${verdict}`);
  }
  const all = plural(sum, "row");
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

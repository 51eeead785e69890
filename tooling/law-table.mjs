// @ts-check
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { renderSummary, renderTable } from "@tidemark/conformance";
import { judgeAdapters, readReports } from "./law-reports.mjs";

/**
 * Runs the conformance suite against each adapter and writes what it found between two marks: every law into
 * docs/laws.md, the count of each group into the README. `laws [--check] [report]`: takes what a run of the tests has
 * found instead (TIDEMARK_TEST_REPORT and TIDEMARK_EVERY_SUBJECT were set for it), and only compares.
 */
const BEGIN = "<!-- laws:begin -->";
const END = "<!-- laws:end -->";

const { values, positionals } = parseArgs({ options: { check: { type: "boolean" } }, allowPositionals: true });
const [file] = positionals;
const reports = file === undefined ? await judgeAdapters() : readReports(JSON.parse(readFileSync(file, "utf8")));

for (const { subject, findings } of reports) {
  for (const finding of findings) {
    if (finding.kind === "fails") console.error(`${subject} breaks ${finding.law}: ${finding.how}`);
  }
}

const tables = [
  { name: "README.md", table: renderSummary(reports) },
  { name: "docs/laws.md", table: renderTable(reports) },
];
const stale = tables.filter(({ name, table }) => !put(name, table));
for (const { name } of stale) console.error(`${name} does not show what the suite has found: npm run laws writes it.`);
process.exitCode = stale.length === 0 && reports.every((report) => report.conforms) ? 0 : 1;

/**
 * Whether it is in the file now.
 *
 * @param {string} name of a file below the root
 * @param {string} table
 */
function put(name, table) {
  const path = join(import.meta.dirname, "..", name);
  const text = readFileSync(path, "utf8");
  const [before, after] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (before === -1 || after === -1) throw new Error(`${name} has no ${BEGIN} … ${END}.`);
  const wanted = `${text.slice(0, before + BEGIN.length)}\n\n${table}\n\n${text.slice(after)}`;
  if (values.check !== true) writeFileSync(path, wanted);
  return values.check !== true || text === wanted;
}

// @ts-check
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { checkConformance, renderTable } from "@tidemark/conformance";
import { memory } from "../packages/adapter-memory/test/subject.mjs";
import { sqlite } from "../packages/adapter-sqlite/test/subject.mjs";

/** Runs the conformance suite against each adapter and writes what it found into the README, between two marks. */
const readme = join(import.meta.dirname, "../README.md");
const BEGIN = "<!-- laws:begin -->";
const END = "<!-- laws:end -->";

// One after the other: a law may keep the machine busy, and nothing shall hang because another did.
const reports = [await report(memory), await report(sqlite)];

for (const { subject, findings } of reports) {
  for (const finding of findings) {
    if (finding.kind === "fails") console.error(`${subject} breaks ${finding.law}: ${finding.how}`);
  }
}

const text = readFileSync(readme, "utf8");
const [before, after] = [text.indexOf(BEGIN), text.indexOf(END)];
if (before === -1 || after === -1) throw new Error(`README.md has no ${BEGIN} … ${END}.`);
const laws = new Set(reports.flatMap((report) => report.findings.map((finding) => finding.law))).size;
const table = `<details>\n<summary>${laws} laws</summary>\n\n${renderTable(reports)}\n\n</details>`;
writeFileSync(readme, `${text.slice(0, before + BEGIN.length)}\n\n${table}\n\n${text.slice(after)}`);
process.exitCode = reports.every((report) => report.conforms) ? 0 : 1;

/**
 * @template Tx
 * @param {import("@tidemark/conformance").Subject<Tx>} subject
 */
function report(subject) {
  console.log(`Judging ${subject.name} …`);
  return checkConformance(subject);
}

// @ts-check
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { checkConformance, renderSummary, renderTable } from "@tidemark/conformance";
import { createDatabase, explain, findServer } from "@tidemark/test-servers";
import { memory } from "../packages/adapter-memory/test/subject.mjs";
import { createSubject } from "../packages/adapter-postgres/test/subject.mjs";
import { sqlite } from "../packages/adapter-sqlite/test/subject.mjs";

/**
 * Runs the conformance suite against each adapter and writes what it found between two marks: every law into
 * docs/laws.md, the count of each group into the README.
 */
const BEGIN = "<!-- laws:begin -->";
const END = "<!-- laws:end -->";

const answer = await findServer("postgres");
// The tables have a column for each adapter, so one cannot be left out.
if (answer.kind === "missing") throw new Error(explain(answer));
const database = await createDatabase(answer.server.url);

// One after the other: a law may keep the machine busy, and nothing shall hang because another did.
const reports = [await report(memory), await report(sqlite), await report(createSubject("postgres", database.url))];

await database.drop();
await answer.server.stop();

for (const { subject, findings } of reports) {
  for (const finding of findings) {
    if (finding.kind === "fails") console.error(`${subject} breaks ${finding.law}: ${finding.how}`);
  }
}

write("README.md", renderSummary(reports));
write("docs/laws.md", renderTable(reports));
process.exitCode = reports.every((report) => report.conforms) ? 0 : 1;

/**
 * @param {string} file below the root
 * @param {string} generated
 */
function write(file, generated) {
  const path = join(import.meta.dirname, "..", file);
  const text = readFileSync(path, "utf8");
  const [before, after] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (before === -1 || after === -1) throw new Error(`${file} has no ${BEGIN} … ${END}.`);
  writeFileSync(path, `${text.slice(0, before + BEGIN.length)}\n\n${generated}\n\n${text.slice(after)}`);
}

/**
 * @template Tx
 * @param {import("@tidemark/conformance").Subject<Tx>} subject
 */
function report(subject) {
  console.log(`Judging ${subject.name} …`);
  return checkConformance(subject);
}

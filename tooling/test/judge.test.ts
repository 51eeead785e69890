import assert from "node:assert/strict";
import { expect, test } from "vitest";
import { checkConformance, checkTooth, type Law, renderTable } from "@tidemark/conformance";
import { memory } from "../../packages/adapter-memory/test/subject.mjs";

const holds: Law = {
  id: "test/holds",
  promise: "It holds.",
  tooth: { lie: "does nothing wrong" },
  check: async () => undefined,
};
const breaks: Law = { ...holds, id: "test/breaks", check: async () => assert.fail("It does not.") };
const crashes: Law = { ...holds, id: "test/crashes", check: async () => Promise.reject(new TypeError("crash")) };
const elsewhere: Law = { ...breaks, id: "test/elsewhere", when: { durable: true } };

test("a report tells what holds, what fails and what does not apply, and survives JSON", async () => {
  const report = await checkConformance(memory, { laws: [holds, breaks, crashes, elsewhere] });
  expect(report.conforms).toBe(false);
  expect(report.findings.map((finding) => finding.kind)).toEqual(["holds", "fails", "fails", "not-applicable"]);
  expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  expect(renderTable([report]).split("\n").slice(2)).toEqual([
    "| `test/holds` | ✓ | It holds. |",
    "| `test/breaks` | ✗ | It holds. |",
    "| `test/crashes` | ✗ | It holds. |",
    "| `test/elsewhere` | – | It holds. |",
  ]);
});

test("a deviation excuses only the breach that it describes", async () => {
  const deviation = { law: "test/breaks", how: /does not/, why: "because", until: "1.0" };
  const excused = await checkConformance(memory, { laws: [breaks], deviations: [deviation] });
  expect(excused.findings).toMatchObject([{ kind: "deviates", why: "because", until: "1.0" }]);
  const otherwise = await checkConformance(memory, { laws: [breaks], deviations: [{ ...deviation, how: /else/ }] });
  expect(otherwise.conforms).toBe(false);
  const mended = await checkConformance(memory, { laws: [holds], deviations: [{ ...deviation, law: "test/holds" }] });
  expect(mended.conforms).toBe(false);
});

test("a law that does not notice its broken store, or crashes on it, has no teeth", async () => {
  expect(await checkTooth(breaks, memory)).toBeUndefined();
  expect(await checkTooth(holds, memory)).toContain("did not notice");
  expect(await checkTooth(crashes, memory)).toContain("crashed");
});

import { inapplicable, laws } from "@tidemark/conformance";
import { expect, test } from "vitest";
import { memory } from "../../packages/adapter-memory/test/subject.mjs";
import { readReports } from "../law-reports.mjs";

const applicable = laws.filter((law) => inapplicable(law, memory) === undefined);

test("a report of tests tells what holds, what deviates, what fails and what was left out", () => {
  const [deviating, failing, missing, ...holding] = applicable;
  const passed = { status: "passed", ancestorTitles: ["on memory", "memory holds"], failureMessages: [] };
  const [memorys] = readReports({
    testResults: [
      {
        assertionResults: [
          ...holding.map((law) => ({ ...passed, title: `${law.id}: ${law.promise}` })),
          { ...passed, title: `${deviating?.id}: deviates until version 9: nobody can: so far` },
          { ...passed, title: `${failing?.id}: ${failing?.promise}`, status: "failed", failureMessages: ["It broke."] },
          { ...passed, title: `${missing?.id}: in another setting`, ancestorTitles: ["memory, odd holds"] },
        ],
      },
    ],
  });
  expect(memorys).toMatchObject({ subject: "memory", conforms: false });
  const findings = new Map(memorys?.findings.map((finding) => [finding.law, finding]));
  expect([...findings.keys()]).toEqual(laws.map(({ id }) => id));
  expect(findings.get(deviating?.id ?? "")).toMatchObject({
    kind: "deviates",
    until: "version 9",
    why: "nobody can: so far",
  });
  expect(findings.get(failing?.id ?? "")).toMatchObject({ kind: "fails", how: "It broke." });
  expect(findings.get(missing?.id ?? "")).toMatchObject({ kind: "fails", how: "It was not judged in this run." });
  const kinds = [...findings.values()].map(({ kind }) => kind);
  expect(kinds.filter((kind) => kind === "holds")).toHaveLength(holding.length);
  expect(kinds.filter((kind) => kind === "not-applicable")).toHaveLength(laws.length - applicable.length);
});

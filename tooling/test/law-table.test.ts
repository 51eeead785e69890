import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { laws } from "@tidemark/conformance";

const root = join(import.meta.dirname, "../..");

test("docs/laws.md names every law with its promise, in the suite's order: npm run laws writes it", () => {
  const rows = generated("docs/laws.md").filter((line) => line.startsWith("| `"));
  const table = rows.map((row) => [row.split("`")[1], row.split(" | ").at(-1)?.replace(/ \|$/, "")]);
  expect(table).toEqual(laws.map((law) => [law.id, law.promise.replaceAll("|", "\\|")]));
  expect(rows.filter((row) => row.includes("✗"))).toEqual([]);
});

test("the README counts the laws of each group", () => {
  const rows = generated("README.md").filter((line) => line.startsWith("| ") && !line.startsWith("| ---"));
  const counts = new Map(rows.map((row) => [row.split(" | ")[0]?.slice(2), sum(row.split(" | ")[1] ?? "")]));
  for (const group of new Set(laws.map((law) => groupOf(law.id)))) {
    expect(counts.get(group), group).toBe(laws.filter((law) => groupOf(law.id) === group).length);
  }
  expect(counts.get("all")).toBe(laws.length);
});

function generated(file: string): string[] {
  const [, text = ""] = readFileSync(join(root, file), "utf8").split(/<!-- laws:(?:begin|end) -->/);
  return text.split("\n");
}

function groupOf(law: string): string {
  return law.split("/")[0] ?? law;
}

/** Of "68 ✓ · 2 –". */
function sum(cell: string): number {
  return [...cell.matchAll(/\d+/g)].reduce((total, [digits]) => total + Number(digits), 0);
}

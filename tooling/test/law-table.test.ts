import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { laws } from "@tidemark/conformance";

test("the README's table names every law with its promise, in the suite's order: npm run laws writes it", () => {
  const readme = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8");
  const [, generated = ""] = readme.split(/<!-- laws:(?:begin|end) -->/);
  const rows = generated.split("\n").filter((line) => line.startsWith("| `"));
  const table = rows.map((row) => [row.split("`")[1], row.split(" | ").at(-1)?.replace(/ \|$/, "")]);
  expect(table).toEqual(laws.map((law) => [law.id, law.promise.replaceAll("|", "\\|")]));
  expect(rows.filter((row) => row.includes("✗"))).toEqual([]);
});

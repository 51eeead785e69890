import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

const example = join(import.meta.dirname, "..");
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "quick-start-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

test("the README shows this very code", () => {
  const readme = readFileSync(join(example, "../../README.md"), "utf8");
  expect(readme).toContain(`\`\`\`ts\n${readFileSync(join(example, "src/main.ts"), "utf8")}\`\`\``);
});

test("each run applies its one event once", () => {
  const file = join(folder, "orders.db");
  expect(run(file)).toBe("{ kind: 'caught-up', handled: 1, position: 1n }\n");
  expect(run(file)).toBe("{ kind: 'caught-up', handled: 1, position: 2n }\n");
});

function run(file: string): string {
  return execFileSync(process.execPath, [join(example, "dist/main.js"), file], { encoding: "utf8" });
}

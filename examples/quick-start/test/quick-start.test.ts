import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
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

test("each run applies its one event once", () => {
  expect(run("main.js", "orders.db")).toBe("{ kind: 'caught-up', handled: 1, position: 1n }\n");
  expect(run("main.js", "orders.db")).toBe("{ kind: 'caught-up', handled: 1, position: 2n }\n");
});

test("an append that expects another version says which one is there", () => {
  expect(run("conflict.js")).toBe("somebody was faster: version 0\n");
});

function run(program: string, ...args: readonly string[]): string {
  return execFileSync(process.execPath, [join(example, "dist", program), ...args], { cwd: folder, encoding: "utf8" });
}

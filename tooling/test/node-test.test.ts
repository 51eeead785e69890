import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

test("the suite runs under node:test as well", { timeout: 60_000 }, () => {
  const fixture = join(import.meta.dirname, "fixtures/node-test.mjs");
  const { stdout, status } = spawnSync(process.execPath, ["--test", "--test-reporter=tap", fixture], {
    encoding: "utf8",
  });
  expect(stdout).toMatch(/^# pass 6$/m);
  expect(stdout).toMatch(/^# fail 0$/m);
  expect(stdout).toContain("append/versions/contiguous");
  expect(status).toBe(0);
});

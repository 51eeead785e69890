import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test, vi } from "vitest";
import { traces } from "./traces.ts";

vi.setConfig({ testTimeout: 90_000 });

const config = join(import.meta.dirname, "fixtures", "run", "vitest.config.ts");
const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");

/** The newest is missing, the oldest comes from npm. */
const NEWEST_IS_MISSING = { TIDEMARK_POSTGRES_NEWEST_URL: "postgres://127.0.0.1:1/postgres" };

test("two projects that ask for the same server get the same one, and it ends with the run", async () => {
  const { code, tests } = await run(NEWEST_IS_MISSING);
  expect(code).toBe(0);
  const urls = tests.flatMap(({ title }) => /^is at (.*)$/.exec(title)?.[1] ?? []);
  expect(urls).toHaveLength(2);
  expect(new Set(urls).size).toBe(1);
  expect(await traces(urls[0] ?? "")).toEqual([]);
});

test("a missing server is named in a skipped test and in the last lines, with how to get it", async () => {
  const { code, output, tests } = await run(NEWEST_IS_MISSING);
  expect(code).toBe(0);
  const skipped = tests.filter(({ status }) => status === "skipped");
  expect(skipped).toHaveLength(1);
  expect(skipped[0]?.fullName).toMatch(
    /on postgres-newest not tested: postgres-newest is missing:; url: .*ECONNREFUSED.*; To get it: .*TIDEMARK_POSTGRES_NEWEST_URL/,
  );
  const end = output.trimEnd().split("\n").slice(-4).join("\n");
  expect(end).toMatch(
    /^NOT TESTED, for want of a server:\npostgres-newest is missing:\n {2}url: .*ECONNREFUSED.*\n {2}To get it: .*TIDEMARK_POSTGRES_NEWEST_URL/,
  );
});

test("a missing server that TIDEMARK_REQUIRE lists fails the run, and the other tests go on", async () => {
  const { code, tests } = await run({ ...NEWEST_IS_MISSING, TIDEMARK_REQUIRE: "postgres-newest" });
  expect(code).toBe(1);
  const failed = tests.filter(({ status }) => status === "failed");
  expect(failed.map(({ title }) => title)).toEqual(["postgres-newest is there, as TIDEMARK_REQUIRE demands"]);
  expect(failed[0]?.failureMessages.join()).toMatch(/ECONNREFUSED.*To get it: .*TIDEMARK_POSTGRES_NEWEST_URL/);
  expect(tests.filter(({ status }) => status === "passed")).not.toEqual([]);
});

test("no server is looked for where no selected file needs one", async () => {
  const { code, output } = await run(NEWEST_IS_MISSING, "none.fixture");
  expect(code).toBe(0);
  expect(output).not.toContain("NOT TESTED");
});

interface Test {
  readonly title: string;
  readonly fullName: string;
  readonly status: string;
  readonly failureMessages: readonly string[];
}

interface Report {
  readonly testResults: readonly { readonly assertionResults: readonly Test[] }[];
}

/** vitest, on the projects of `fixtures/run`. */
async function run(env: Readonly<Record<string, string>>, ...args: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), "report-"));
  const report = join(folder, "report.json");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const outer = Object.entries(process.env).filter(([name]) => !/^(VITEST|TIDEMARK)/.test(name));
  const child = spawn(process.execPath, [vitest, "run", "--config", config, ...reporters, ...args], {
    cwd: dirname(config),
    env: { ...Object.fromEntries(outer), NO_COLOR: "1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  const { testResults } = JSON.parse(readFileSync(report, "utf8")) as Report;
  rmSync(folder, { recursive: true });
  return { code: child.exitCode, output: output + errors, tests: testResults.flatMap((file) => file.assertionResults) };
}

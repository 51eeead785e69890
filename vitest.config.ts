import { existsSync, readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Asks } from "@tidemark/test-servers/vitest";
import { defineConfig } from "vitest/config";
import type { Reporter } from "vitest/node";

const root = import.meta.dirname;

/** A file in which the results are wanted as JSON as well. */
const report = process.env["TIDEMARK_TEST_REPORT"];

/**
 * Adapters in other settings and on other versions of their server: the same laws again, which takes long. Every run of
 * CI, and whoever sets this, runs those too that the database has a hand in; `all` runs all laws on all.
 */
const every = process.env["TIDEMARK_EVERY_SUBJECT"];
const leftOut = [
  ...(every === undefined ? ["**/*.every-subject.test.ts"] : []),
  ...(every === "all" ? [] : ["**/*.every-law.test.ts"]),
];

/** The real library, which is no dependency: the tests of `@tidemark/consequent` need the path of one. */
const consequent = process.env["TIDEMARK_CONSEQUENT"];

const reminders = [
  ...(every === undefined
    ? [
        `${leftOut.join(", ")}, and on MySQL the laws that its locks, positions and clock have little of a hand in. ` +
          "Set TIDEMARK_EVERY_SUBJECT=1 to run these as well.",
      ]
    : []),
  ...(every === undefined || every === "all"
    ? []
    : ["the laws of consumers in other settings and on other versions. TIDEMARK_EVERY_SUBJECT=all runs them."]),
  ...(consequent === undefined
    ? ["packages/consequent with consequent itself. Set TIDEMARK_CONSEQUENT to the path of a built consequent 2.x."]
    : []),
];

const reminder: Reporter = {
  onTestRunEnd: () => {
    for (const line of reminders) process.stdout.write(`Not run: ${line}\n`);
    process.stdout.write("\n");
  },
};

/** The database servers that the tests of a project ask for. They are started for a run that has files of it. */
const servers: Readonly<Record<string, readonly string[]>> = {
  "@tidemark/adapter-mysql": ["mysql", "mariadb", ...(every !== undefined ? ["mysql-oldest", "mariadb-oldest"] : [])],
  "@tidemark/adapter-postgres": ["postgres", ...(every !== undefined ? ["postgres-oldest", "postgres-newest"] : [])],
  "@tidemark/consequent": ["postgres", "mysql", "mariadb"],
  "@tidemark/worker": ["postgres", "mysql", "mariadb"],
};

/** Every workspace with a test folder is a project, named as its package is. */
const folders = ["packages", "examples"]
  .flatMap((parent) => readdirSync(join(root, parent)).map((name) => join(parent, name)))
  .concat("simulation", "test-servers", "tooling")
  .filter((folder) => existsSync(join(root, folder, "test")) && existsSync(join(root, folder, "package.json")));

export default defineConfig({
  test: {
    // Most of the time a law waits for a lock, a timer or another process, and not for the processor. But what runs beside
    // it must not make it late for its leases.
    maxWorkers: Math.max(3, availableParallelism()),
    // A test that hangs fails; one that shares its machine with much else does not.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ["default", ...jsonReport(), reminder],
    projects: folders.map((folder) => {
      const name = nameOf(folder);
      return {
        extends: true,
        root: join(root, folder),
        test: {
          name,
          include: ["test/**/*.test.{ts,mjs}"],
          exclude: leftOut,
          ...withServers(servers[name]),
        },
      };
    }),
  },
});

function jsonReport(): ["json", { outputFile: string }][] {
  return report === undefined ? [] : [["json", { outputFile: report }]];
}

function withServers(wanted: readonly string[] = []) {
  if (wanted.length === 0) return {};
  return {
    globalSetup: join(root, "test-servers", "dist", "vitest-setup.js"),
    provide: { "tidemark.wanted": wanted } satisfies Asks,
  };
}

function nameOf(folder: string): string {
  const manifest: unknown = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
  if (typeof manifest === "object" && manifest !== null && "name" in manifest) return String(manifest.name);
  throw new Error(`${folder}/package.json has no name`);
}

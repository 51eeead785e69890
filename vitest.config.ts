import { existsSync, readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { defineConfig } from "vitest/config";

const root = import.meta.dirname;

/** A file in which the results are wanted as JSON as well. */
const report = process.env["TIDEMARK_TEST_REPORT"];

/** Every workspace with a test folder is a project, named as its package is. */
const folders = ["packages", "examples"]
  .flatMap((parent) => readdirSync(join(root, parent)).map((name) => join(parent, name)))
  .concat("tooling")
  .filter((folder) => existsSync(join(root, folder, "test")) && existsSync(join(root, folder, "package.json")));

export default defineConfig({
  test: {
    // Most of the time a law waits for a lock, a timer or another process, and not for the processor.
    maxWorkers: Math.max(4, availableParallelism()),
    ...(report === undefined ? {} : { reporters: ["default", ["json", { outputFile: report }]] }),
    projects: folders.map((folder) => ({
      extends: true,
      root: join(root, folder),
      test: { name: nameOf(folder), include: ["test/**/*.test.{ts,mjs}"] },
    })),
  },
});

function nameOf(folder: string): string {
  const manifest: unknown = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
  if (typeof manifest === "object" && manifest !== null && "name" in manifest) return String(manifest.name);
  throw new Error(`${folder}/package.json has no name`);
}

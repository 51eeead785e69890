// Packs every public package as it would be published and has publint and attw judge the tarballs.
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { capture, root } from "./command.mjs";

const target = mkdtempSync(join(tmpdir(), "tidemark-pack-"));
try {
  let failed = 0;
  for (const name of readdirSync(join(root, "packages"))) failed += await check(name);
  process.exitCode = failed === 0 ? 0 : 1;
} finally {
  rmSync(target, { recursive: true, force: true });
}

/**
 * @param {string} folder below packages/
 * @returns {Promise<number>} how many of the checks failed
 */
async function check(folder) {
  const path = join(root, "packages", folder);
  const { name, private: isPrivate } = JSON.parse(readFileSync(join(path, "package.json"), "utf8"));
  if (isPrivate) return 0;

  const into = join(target, folder);
  const packed = await capture("pnpm", ["--dir", path, "pack", "--pack-destination", into]);
  const tarball = packed.code === 0 ? readdirSync(into).find((file) => file.endsWith(".tgz")) : undefined;
  if (tarball === undefined) return report(name, [{ tool: "pnpm pack", ...packed, code: 1 }]);

  const file = join(into, tarball);
  return report(name, [
    { tool: "publint", ...(await capture("publint", ["run", file, "--strict"])) },
    { tool: "attw", ...(await capture("attw", [file, "--profile", "esm-only", "--no-color", "--no-emoji"])) },
  ]);
}

/**
 * @param {string} name
 * @param {readonly { readonly tool: string, readonly code: number, readonly output: string }[]} results
 */
function report(name, results) {
  const failed = results.filter(({ code }) => code !== 0);
  console.log(`${name}: ${results.map(({ tool, code }) => `${tool} ${code === 0 ? "passed" : "FAILED"}`).join(", ")}`);
  for (const { output } of failed) console.error(output);
  return failed.length;
}

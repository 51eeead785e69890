import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { root } from "./command.mjs";
import { howToBuildSqlite, localHeaders, probeSqlite } from "./native.mjs";
import { pinnedPnpm, pnpm } from "./pnpm.mjs";

const stampFile = join(root, "node_modules", ".tidemark", "installed");
const logFile = join(root, "node_modules", ".tidemark", "install.log");

/**
 * Installs what the lockfile says, unless that was done already for this Node.
 *
 * @returns {Promise<string | undefined>} what went wrong and what to do, or nothing
 */
export async function ensureInstalled() {
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === fingerprint()) return undefined;

  console.log("Installing dependencies (the first time this can take two minutes: SQLite may have to be compiled)");
  const headers = await localHeaders();
  const install = await pnpm("capture", ["install", "--frozen-lockfile"], headers);
  let sqlite = await probeSqlite();
  let log = install.output;
  if (install.code === 0 && sqlite === "unbuilt") {
    // Installed earlier, for another Node: pnpm sees nothing to do.
    const rebuild = await pnpm("capture", ["--recursive", "rebuild", "better-sqlite3"], headers);
    log += rebuild.output;
    sqlite = await probeSqlite();
  }
  if (install.code === 0 && sqlite === "works") {
    writeUnder(stampFile, fingerprint());
    return undefined;
  }
  writeUnder(logFile, log);
  if (sqlite === "unbuilt") return `${await howToBuildSqlite()}\nThe log of the build: ${logFile}`;
  return [
    lastLines(log, 25),
    "",
    "Installing the dependencies failed; the last lines above say why.",
    log.includes("OUTDATED_LOCKFILE")
      ? `A package.json was changed without the lockfile: run \`npx ${pinnedPnpm} install\`.`
      : "It needs to reach the npm registry. Run the same command again once it does.",
    `The whole log: ${logFile}`,
  ].join("\n");
}

/** Changes whenever an install could have another outcome: manifests, lockfile, Node's ABI. */
function fingerprint() {
  const hash = createHash("sha256");
  hash.update(`${process.platform}-${process.arch}-${process.versions.modules}\n`);
  for (const file of ["pnpm-lock.yaml", "pnpm-workspace.yaml", ...manifests()]) {
    hash.update(`${file}\n`).update(readFileSync(join(root, file)));
  }
  return hash.digest("hex");
}

/** @returns {readonly string[]} */
function manifests() {
  const folders = ["packages", "examples"].flatMap((parent) =>
    readdirSync(join(root, parent)).map((name) => join(parent, name)),
  );
  return ["", "benchmarks", "test-servers", "tooling", ...folders.sort()]
    .map((folder) => join(folder, "package.json"))
    .filter((file) => existsSync(join(root, file)));
}

/**
 * @param {string} file
 * @param {string} text
 */
function writeUnder(file, text) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/**
 * @param {string} text
 * @param {number} count
 */
function lastLines(text, count) {
  return text.trimEnd().split("\n").slice(-count).join("\n");
}

// better-sqlite3 is the one dependency that has to fit this machine: where no prebuilt binary can be had it is compiled.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { capture, root } from "./command.mjs";

/**
 * The environment in which node-gyp compiles against headers that are on this machine, and downloads none. Empty where
 * there are none for this Node.
 *
 * @returns {Promise<Readonly<Record<string, string>>>}
 */
export async function localHeaders() {
  const configured = process.env["npm_config_nodedir"] ?? (await configuredNodedir());
  const nodedir = [configured, dirname(dirname(process.execPath))].find(hasHeaders);
  return nodedir === undefined ? {} : { npm_config_nodedir: nodedir };
}

/** @returns {Promise<string | undefined>} */
async function configuredNodedir() {
  const { code, output } = await capture("npm", ["config", "get", "nodedir", "--loglevel=silent"]);
  return code === 0 ? output.trim() : undefined;
}

/**
 * Whether a folder has the headers of the Node that runs: an installation, or the sources of Node.
 *
 * @param {string | undefined} folder
 */
function hasHeaders(folder) {
  if (!folder) return false;
  const major = new RegExp(`#define NODE_MAJOR_VERSION ${process.versions.node.split(".")[0]}\\b`);
  return [join("include", "node"), "src"]
    .map((part) => join(folder, part, "node_version.h"))
    .some((file) => existsSync(file) && major.test(readFileSync(file, "utf8")));
}

/**
 * Whether better-sqlite3 works: tried for real, in a process of its own because a broken binary can take its process
 * with it. "absent" means that it is not even installed.
 *
 * @returns {Promise<"works" | "absent" | "unbuilt">}
 */
export async function probeSqlite() {
  const adapter = join(root, "packages", "adapter-sqlite", "package.json");
  const script = `
    const from = require("node:module").createRequire(${JSON.stringify(adapter)});
    try { from.resolve("better-sqlite3") } catch { process.exit(3) }
    const Database = from("better-sqlite3");
    new Database(":memory:").close();
  `;
  const { code } = await capture(process.execPath, ["--eval", script]);
  return code === 0 ? "works" : code === 3 ? "absent" : "unbuilt";
}

/**
 * What to do where better-sqlite3 could not be built, with what is missing on this machine first.
 *
 * @returns {Promise<string>}
 */
export async function howToBuildSqlite() {
  const found = await Promise.all(
    [
      { what: "Python 3", programs: ["python3", "python"] },
      { what: "make", programs: ["make", "gmake"] },
      { what: "a C++ compiler", programs: ["c++", "g++", "clang++"] },
    ].map(async ({ what, programs }) => ({ what, present: await anyRuns(programs) })),
  );
  const missing = found.filter(({ present }) => !present).map(({ what }) => what);
  return [
    "better-sqlite3, which the SQLite adapter and the demo need, cannot be loaded: there was no prebuilt binary for",
    `Node ${process.versions.node} on ${process.platform}-${process.arch} (or no network to fetch it), and building it from source failed.`,
    "",
    missing.length === 0
      ? "Python, make and a C++ compiler are here, so the build log is the place to look."
      : process.platform === "win32"
        ? "It needs Python 3 and the C++ tools of Visual Studio."
        : `Not found on this machine: ${missing.join(", ")}.`,
    "",
    "  Debian, Ubuntu   sudo apt-get install python3 make g++",
    "  Fedora, RHEL     sudo dnf install python3 make gcc-c++",
    "  Alpine           apk add python3 make g++",
    "  macOS            xcode-select --install",
    "  Windows          winget install Python.Python.3.12 Microsoft.VisualStudio.2022.BuildTools (with the C++ workload)",
    "",
    "The build also needs Node's headers. They are downloaded from nodejs.org; without network, point npm_config_nodedir at",
    "a directory that holds include/node.",
    "Then run the same command again.",
  ].join("\n");
}

/**
 * @param {readonly string[]} programs
 * @returns {Promise<boolean>}
 */
async function anyRuns(programs) {
  for (const program of programs) {
    const { code } = await capture(program, ["--version"]);
    if (code === 0) return true;
  }
  return false;
}

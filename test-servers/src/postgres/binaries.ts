import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { exe } from "../private-server.ts";
import type { Environment } from "../server.ts";

const OLDEST = 13;

/** Where installers put PostgreSQL without touching the PATH: a folder, what its versions are called, the rest. */
const places: readonly (readonly [parent: string, version: RegExp, rest: string])[] = [
  ["/usr/lib/postgresql", /^\d+$/, "bin"],
  ["/usr", /^pgsql-\d+$/, "bin"],
  ["/usr/local", /^pgsql$/, "bin"],
  ["/opt/homebrew/opt", /^postgresql(@\d+)?$/, "bin"],
  ["/usr/local/opt", /^postgresql(@\d+)?$/, "bin"],
  ["/home/linuxbrew/.linuxbrew/opt", /^postgresql(@\d+)?$/, "bin"],
  ["/Applications/Postgres.app/Contents/Versions", /^\d+$/, "bin"],
  ["/Library/PostgreSQL", /^\d+$/, "bin"],
  ["C:\\Program Files\\PostgreSQL", /^\d+$/, "bin"],
];

/** The folder with the programs of the newest PostgreSQL server that is installed on this machine. */
export async function binariesHere(env: Environment): Promise<string> {
  const onPath = (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const folders = new Set([...onPath, ...places.flatMap(versions)].flatMap(programs));
  const found = await Promise.all([...folders].map(async (folder) => ({ folder, version: await versionOf(folder) })));
  const usable = found.filter(({ version }) => version >= OLDEST).toSorted((a, b) => b.version - a.version);
  if (usable[0] !== undefined) return usable[0].folder;
  throw new Error(
    found.length === 0
      ? "no initdb and postgres on the PATH or where installers put them"
      : `only versions older than ${OLDEST}, in ${found.map(({ folder }) => folder).join(", ")}`,
  );
}

function versions([parent, version, rest]: (typeof places)[number]): readonly string[] {
  if (!existsSync(parent)) return [];
  return readdirSync(parent)
    .filter((name) => version.test(name))
    .map((name) => join(parent, name, rest));
}

/** The folder that really holds the programs: on the PATH there are often links. */
function programs(folder: string): readonly string[] {
  try {
    const real = dirname(realpathSync(join(folder, exe("initdb"))));
    for (const program of ["initdb", "postgres"]) accessSync(join(real, exe(program)), constants.X_OK);
    return [real];
  } catch {
    return [];
  }
}

/** Major and minor as one number, 0 where the program does not run. */
async function versionOf(folder: string): Promise<number> {
  try {
    const { stdout } = await promisify(execFile)(join(folder, exe("postgres")), ["--version"]);
    return Number(/(\d+(?:\.\d+)?)/.exec(stdout)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

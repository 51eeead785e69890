import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { exe } from "./private-server.ts";
import type { Environment } from "./server.ts";

/** A database server that may be installed on this machine. */
export interface Product {
  /** The server itself. It tells its version. */
  readonly program: string;
  /** What it needs, as paths from its folder: of each row, one must be there. */
  readonly needs: readonly (readonly string[])[];
  /** Where installers put it without touching the PATH. */
  readonly places: readonly Place[];
  /** Finds major and minor in what the server says to `--version`; finds nothing in what another product says. */
  readonly version: RegExp;
  /** Which versions will do, and in words. */
  readonly suits: (version: Version) => boolean;
  readonly wanted: string;
}

/** A folder, what its versions are called, the rest. */
export type Place = readonly [parent: string, version: RegExp, rest: string];

interface Version {
  readonly major: number;
  readonly minor: number;
}

/** The folders with the product's server in a version that will do, the newest first, and of equal ones that on the PATH. There is one at least. */
export async function installed(product: Product, env: Environment): Promise<readonly [string, ...string[]]> {
  const onPath = (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const folders = new Set([...onPath, ...product.places.flatMap(versions)].flatMap((folder) => real(folder, product)));
  const found = await Promise.all(
    [...folders].map(async (folder) => ({ folder, version: await versionOf(folder, product) })),
  );
  const [first, ...others] = found
    .flatMap(({ folder, version }) => (version !== undefined && product.suits(version) ? [{ folder, version }] : []))
    .toSorted(({ version: a }, { version: b }) => b.major - a.major || b.minor - a.minor)
    .map(({ folder }) => folder);
  if (first !== undefined) return [first, ...others];
  throw new Error(
    found.length === 0
      ? `no ${[product.program, ...product.needs.map(([path = ""]) => path)].join(" and ")} on the PATH or where installers put them`
      : `nothing that is ${product.wanted} in ${found.map(({ folder }) => folder).join(", ")}`,
  );
}

function versions([parent, version, rest]: Place): readonly string[] {
  if (!existsSync(parent)) return [];
  return readdirSync(parent)
    .filter((name) => version.test(name))
    .map((name) => join(parent, name, rest));
}

/** The folder that really holds the programs: on the PATH there are often links. */
function real(folder: string, { program, needs }: Product): readonly string[] {
  try {
    const found = dirname(realpathSync(join(folder, exe(program))));
    accessSync(join(found, exe(program)), constants.X_OK);
    return needs.every((paths) => firstOf(found, paths) !== undefined) ? [found] : [];
  } catch {
    return [];
  }
}

/** The first of these programs that is there, as it was given. */
export function firstOf(folder: string, programs: readonly string[]): string | undefined {
  return programs.find((program) => {
    try {
      accessSync(join(folder, exe(program)), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Nothing where the program does not run, or is another product. */
async function versionOf(folder: string, { program, version }: Product): Promise<Version | undefined> {
  try {
    const { stdout } = await promisify(execFile)(join(folder, exe(program)), ["--version"]);
    const [, major, minor = "0"] = version.exec(stdout) ?? [];
    return major === undefined ? undefined : { major: Number(major), minor: Number(minor) };
  } catch {
    return undefined;
  }
}

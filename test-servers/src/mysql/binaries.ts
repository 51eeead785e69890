import { installed } from "../installed.ts";
import type { Environment } from "../server.ts";
import { type Flavour, mariadb } from "./flavours.ts";

/** Finds the folder with the newest server of the flavour that is installed on this machine. */
export function newestHere({ product }: Flavour): (env: Environment) => Promise<string> {
  return async (env) => (await installed(product, env))[0];
}

/** The folder with the oldest MariaDB that is installed on this machine, if it still is a 10. */
export async function oldMariadbHere(env: Environment): Promise<string> {
  const folders = await installed(
    {
      ...mariadb.product,
      suits: ({ major, minor }) => major === 10 && minor >= 6,
      wanted: "MariaDB 10.6 to 10.11",
    },
    env,
  );
  return folders.at(-1) ?? folders[0];
}

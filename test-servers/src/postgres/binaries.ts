import { installed, type Product } from "../installed.ts";
import type { Environment } from "../server.ts";

const postgres: Product = {
  program: "postgres",
  needs: [["initdb"]],
  places: [
    ["/usr/lib/postgresql", /^\d+$/, "bin"],
    ["/usr", /^pgsql-\d+$/, "bin"],
    ["/usr/local", /^pgsql$/, "bin"],
    ["/opt/homebrew/opt", /^postgresql(@\d+)?$/, "bin"],
    ["/usr/local/opt", /^postgresql(@\d+)?$/, "bin"],
    ["/home/linuxbrew/.linuxbrew/opt", /^postgresql(@\d+)?$/, "bin"],
    ["/Applications/Postgres.app/Contents/Versions", /^\d+$/, "bin"],
    ["/Library/PostgreSQL", /^\d+$/, "bin"],
    ["C:\\Program Files\\PostgreSQL", /^\d+$/, "bin"],
  ],
  version: /\) (\d+)(?:\.(\d+))?/,
  suits: ({ major }) => major >= 13,
  wanted: "PostgreSQL 13 or newer",
};

/** The folder with the programs of the newest PostgreSQL server that is installed on this machine. */
export async function binariesHere(env: Environment): Promise<string> {
  return (await installed(postgres, env))[0];
}

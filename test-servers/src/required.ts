import type { Environment } from "./server.ts";
import { definitionOf } from "./servers.ts";

/** Asked for in other ways than by its name, but required in the same. */
const GALERA = "galera";

/** The servers that `TIDEMARK_REQUIRE` lists, separated by commas: missing, they are a failure. */
export function requiredServers(env: Environment = process.env): ReadonlySet<string> {
  const names = (env["TIDEMARK_REQUIRE"] ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  // A name that is mistyped would require nothing.
  for (const name of names) if (name !== GALERA) definitionOf(name, "TIDEMARK_REQUIRE");
  return new Set(names);
}

import { mysqlServers } from "./mysql/servers.ts";
import { postgresServers } from "./postgres/servers.ts";
import type { ServerDefinition } from "./server.ts";

/** Every server that can be asked for. */
const servers: readonly ServerDefinition[] = [...postgresServers, ...mysqlServers];

/** The definition behind a name. `where` says who used it, for the reader of the error. */
export function definitionOf(name: string, where: string): ServerDefinition {
  const definition = servers.find((server) => server.name === name);
  if (definition !== undefined) return definition;
  throw new Error(
    `${where} names the server "${name}", which nobody knows. There are ${servers.map((s) => s.name).join(", ")}.`,
  );
}

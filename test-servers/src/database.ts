import { randomBytes } from "node:crypto";
import { mysqlDatabases } from "./mysql/databases.ts";
import { postgresDatabases } from "./postgres/databases.ts";

/** A database of one's own on a server. */
export interface FreshDatabase {
  readonly url: string;
  /** Removes it, and ends the connections that are still open to it. May be called twice. */
  readonly drop: () => Promise<void>;
}

/** How one kind of server makes databases. The names are plain: lower-case letters, digits, underscores. */
export interface Databases {
  /** As in URLs, with the colon. */
  readonly protocols: readonly string[];
  readonly create: (url: string, name: string) => Promise<unknown>;
  readonly drop: (url: string, name: string) => Promise<void>;
}

const kinds: readonly Databases[] = [postgresDatabases, mysqlDatabases];

/** Makes an empty database on the server behind a URL. */
export async function createDatabase(serverUrl: string): Promise<FreshDatabase> {
  const url = new URL(serverUrl);
  const databases = kinds.find(({ protocols }) => protocols.includes(url.protocol));
  if (databases === undefined) throw new Error(`Nobody knows how to make a database behind ${url.protocol}//.`);
  const name = `tidemark_${randomBytes(8).toString("hex")}`;
  await databases.create(serverUrl, name);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => databases.drop(serverUrl, name) };
}

import { Client } from "pg";

const CONNECT_MS = 10_000;

/** Lends a connection that is closed afterwards. */
export async function withClient(url: string, use: (client: Client) => Promise<unknown>): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: CONNECT_MS });
  // A server that is stopped while we are connected says so here as well; the query fails anyway.
  client.on("error", () => {});
  try {
    await client.connect();
    await use(client);
  } finally {
    await client.end();
  }
}

/** `"17.11"`, without what a distribution adds to it. */
export async function askVersion(url: string): Promise<string> {
  let version = "";
  await withClient(url, async (client) => {
    const { rows } = await client.query<{ server_version: string }>("show server_version");
    version = rows[0]?.server_version.split(" ")[0] ?? "";
  });
  return version;
}

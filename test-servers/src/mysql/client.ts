import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";

const CONNECT_MS = 10_000;

/** Lends a connection that is closed afterwards. */
export async function withClient<Result>(url: string, use: (client: Connection) => Promise<Result>): Promise<Result> {
  const client = await createConnection({ uri: url, connectTimeout: CONNECT_MS });
  // A server that is stopped while we are connected says so here as well; the query fails anyway.
  client.on("error", () => {});
  try {
    return await use(client);
  } finally {
    client.destroy();
  }
}

interface VersionRow extends RowDataPacket {
  readonly version: string;
}

/** `"11.8.6"`, without what a distribution adds to it. Fails where the server is of the other flavour. */
export async function askVersionOf(flavour: "MySQL" | "MariaDB", url: string): Promise<string> {
  const [rows] = await withClient(url, (client) => client.query<VersionRow[]>("select version() as version"));
  const version = rows[0]?.version ?? "";
  const found = version.includes("MariaDB") ? "MariaDB" : "MySQL";
  if (found !== flavour) throw new Error(`it is ${found} ${version}, not ${flavour}`);
  return version.split("-")[0] ?? "";
}

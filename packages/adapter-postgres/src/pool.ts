import { promisify } from "node:util";
import { Client, Pool, type PoolConfig } from "pg";

/** How long a connection beside the pool may take to be made, where the pool's options do not say. */
const CONNECT_MS = 10_000;

/** A client that connects as those of the pool do, and is not one of them. */
export function connectionBeside({ options }: Pool): Client {
  // The pool hides the password, so that it is not copied with the rest.
  return new OwnClient({ connectionTimeoutMillis: CONNECT_MS, ...options, password: options.password });
}

type Connected = (error: Error | null, client?: Client) => void;

/**
 * Hangs up on a server that it cannot log in to. pg by itself leaves such a line open until the server has had enough,
 * which takes a minute of one of its connections, and `drop database` waits for it.
 */
class OwnClient extends Client {
  override connect(): Promise<Client>;
  override connect(connected: Connected): void;
  override connect(connected?: Connected): Promise<Client> | undefined {
    if (connected === undefined) return promisify((done: Connected) => this.connect(done))() as Promise<Client>;
    super.connect((error: Error | null, client?: Client) => {
      if (error) void this.end().catch(() => undefined);
      connected(error, client);
    });
    return undefined;
  }
}

/** A pool of the store's own. */
export function createOwnPool(connection: string | PoolConfig | undefined): Pool {
  const config = typeof connection === "string" ? { connectionString: connection } : connection;
  const pool = new Pool({ application_name: "tidemark", Client: OwnClient, ...config });
  // A connection that is lost while nobody uses it: the pool has dropped it, and the next call gets another.
  pool.on("error", () => undefined);
  return pool;
}

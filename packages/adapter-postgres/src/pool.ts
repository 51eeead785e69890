import { promisify } from "node:util";
import { Client, type ClientConfig, Pool, type PoolConfig } from "pg";

/** How long a connection may take to be made at most, where the pool's options do not say. */
const CONNECT_MS = 10_000;
/** A server that needs longer than a call may wait is of use to the next one. */
const LEAST_CONNECT_MS = 1_000;
/** After how long of silence the operating system asks whether the other end is still there: ten times, a second apart. */
const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelayMillis: 10_000 };

/** A client that connects as those of the pool do, and is not one of them. */
export function connectionBeside({ options }: Pool): Client {
  // The pool hides the password, so that it is not copied with the rest.
  return new HangingUp({ connectionTimeoutMillis: CONNECT_MS, ...options, password: options.password });
}

type Connected = (error: Error | null, client?: Client) => void;

/**
 * Hangs up on a server that it cannot log in to. pg by itself leaves such a line open until the server has had enough,
 * which takes a minute of one of its connections, and `drop database` waits for it.
 */
class HangingUp extends Client {
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

/** A pool of the store's own. A server that does not answer is given up before the call is that waits for it. */
export function createOwnPool(connection: string | PoolConfig | undefined, waitMs: number): Pool {
  const config = typeof connection === "string" ? { connectionString: connection } : connection;
  const connectionTimeoutMillis = Math.min(CONNECT_MS, Math.max(waitMs, LEAST_CONNECT_MS));
  // As an option of the pool it would also be how long calls wait for a client that is in use.
  const OwnClient = class extends HangingUp {
    constructor(options?: ClientConfig) {
      super({ connectionTimeoutMillis, ...options });
    }
  };
  const pool = new Pool({ application_name: "tidemark", Client: OwnClient, ...KEEP_ALIVE, ...config });
  // A connection that is lost while nobody uses it: the pool has dropped it, and the next call gets another.
  pool.on("error", () => undefined);
  return pool;
}

import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:net";

/**
 * A port that nobody listens on, and that no other process which asks here is given while this one lives. Below the range from
 * which connections get theirs: while a server is down, one of those could take the port that it wants again.
 */
export async function freePort(host: string): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = randomInt(LOWEST, HIGHEST);
    if ((await reserve(port)) && (await isFree(host, port))) return port;
  }
  throw new Error(`No free port on ${host} between ${LOWEST} and ${HIGHEST}`);
}

const ATTEMPTS = 100;
const [LOWEST, HIGHEST] = [12_000, 32_000];

/** Given out by this process, and perhaps not listened on yet. */
const taken = new Set<number>();

/** Other processes see it by the name of a socket, which on Linux is in no folder and gone with its process. */
async function reserve(port: number): Promise<boolean> {
  if (taken.has(port)) return false;
  taken.add(port);
  if (process.platform !== "linux") return true;
  const mark = createServer().listen(`\0tidemark-port-${port}`);
  mark.unref();
  return once(mark, "listening").then(
    () => true,
    () => false,
  );
}

async function isFree(host: string, port: number): Promise<boolean> {
  const server = createServer().listen(port, host);
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}

/** Of a server of this process that listens. */
export function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new TypeError("The server listens on no port.");
  return address.port;
}

import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { portOf } from "./ports.ts";

/** A server that takes every connection on this machine and says nothing, as one that stands still does. */
export interface SilentServer {
  readonly port: number;
  /** How many connections are open. */
  readonly connections: number;
  /** Ends with every connection. */
  close(): void;
}

export async function startSilent(): Promise<SilentServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    // Its end is noticed by who reads.
    socket.resume();
    sockets.add(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: portOf(server),
    get connections() {
      return sockets.size;
    },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

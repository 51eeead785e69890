import { readFile } from "node:fs/promises";

/** What the kernel of Linux knows of connections by IPv4. */
const TABLE = "/proc/net/tcp";
const ESTABLISHED = "01";
/** The timer runs for a connection that has nothing to send: the next question whether the other end is there. */
const KEEPS_ALIVE = "02";
/** Ticks of the timer, whatever the kernel counts by itself. */
const TICKS_PER_SECOND = 100;

/** Where {@link keepAliveSeconds} can be asked. */
export const tellsKeepAlive: boolean = process.platform === "linux";

/**
 * Of each connection that this machine has made to a port of its own: in how many seconds, at most, the operating system
 * asks whether the other end is still there. `Infinity`: never. Only of connections that are idle.
 */
export async function keepAliveSeconds(port: number): Promise<readonly number[]> {
  const [, ...lines] = (await readFile(TABLE, "latin1")).trim().split("\n");
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , remote = "", state]) => state === ESTABLISHED && portOf(remote) === port)
    .map(([, , , , , timer = ""]) => secondsOf(timer));
}

function portOf(address: string): number {
  return Number.parseInt(address.split(":")[1] ?? "", 16);
}

function secondsOf(timer: string): number {
  const [kind, ticks = ""] = timer.split(":");
  return kind === KEEPS_ALIVE ? Number.parseInt(ticks, 16) / TICKS_PER_SECOND : Infinity;
}

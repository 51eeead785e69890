import { freePort } from "../ports.ts";

/** Where a node listens. */
export interface Ports {
  readonly mysql: number;
  /** Group communication. */
  readonly group: number;
  /** Incremental state transfer. */
  readonly increment: number;
  /** State snapshot transfer. */
  readonly snapshot: number;
}

export async function freePorts(host: string): Promise<Ports> {
  return {
    mysql: await freePort(host),
    group: await freePort(host),
    increment: await freePort(host),
    snapshot: await freePort(host),
  };
}

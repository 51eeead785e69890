import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts, type Ports } from "./ports.ts";
import { createNode, type Node } from "./node.ts";
import { galeraPrograms } from "./programs.ts";
import type { NodeState } from "./state.ts";

/** Three MariaDB servers that are one cluster: each has all data, each takes writes. */
export interface Galera {
  readonly nodes: readonly GaleraNode[];
  /**
   * Ends the nodes and removes what they left; may be called twice. It also happens by itself when this process ends, in
   * whichever way.
   */
  readonly stop: () => Promise<void>;
}

export interface GaleraNode {
  /** Of an empty database, as a user who may do everything. */
  readonly url: string;
  /** Ends the node by SIGKILL. The others find out by its silence, which takes them some 6 s; so long they do not commit. */
  readonly kill: () => Promise<void>;
  /**
   * Starts the node again, killed first if it runs; the same URL. Settles when it has caught up. Where most nodes are gone,
   * none catches up before all are back: restart them at the same time.
   */
  readonly restart: (options?: { readonly signal?: AbortSignal | undefined }) => Promise<void>;
  /** What the node last said about itself, or nothing while it does not run. */
  readonly state: () => NodeState | undefined;
}

/**
 * Starts a cluster of its own for each call, on free ports of 127.0.0.1; settles when all nodes are synced. Fails with the
 * reason where there is no way, and leaves nothing behind then.
 */
export async function startGalera(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<Galera> {
  const programs = galeraPrograms(process.env);
  const ports = await Promise.all(NAMES.map(() => freePorts(HOST)));
  const identity = {
    // A node that nobody stopped cannot come in: it does not know this name.
    cluster: `tidemark-${randomBytes(8).toString("hex")}`,
    // Any user of this machine reaches the ports: hence a password.
    password: randomBytes(12).toString("hex"),
    peers: ports.map(({ group }) => `${HOST}:${group}`),
  };
  const nodes: Node[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.close()));
  };
  try {
    for (const [index, name] of NAMES.entries()) {
      nodes.push(await createNode({ ...identity, name, host: HOST, ports: at(ports, index), programs }));
    }
    const [first, ...others] = nodes;
    await first?.found(options);
    // One after the other: two that join at once get into each other's way, and it takes longer.
    for (const node of others) await node.restart(options);
    await allSynced(nodes, options.signal);
    return { nodes, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Who sent its data to a node that joined says so a moment after that one. */
async function allSynced(nodes: readonly Node[], signal: AbortSignal | undefined): Promise<void> {
  const isSynced = (node: Node): boolean => {
    const state = node.state();
    return state?.status === "synced" && state.size === nodes.length;
  };
  for (const deadline = performance.now() + SYNCED_MS; !nodes.every(isSynced); await sleep(50)) {
    signal?.throwIfAborted();
    if (performance.now() > deadline) throw new Error(`Not all nodes are synced within ${SYNCED_MS / 1_000} s.`);
  }
}

const SYNCED_MS = 60_000;
const HOST = "127.0.0.1";
const NAMES = ["node-1", "node-2", "node-3"] as const;

function at(ports: readonly Ports[], index: number): Ports {
  const found = ports[index];
  if (found === undefined) throw new Error(`No ports for node ${index + 1}`);
  return found;
}

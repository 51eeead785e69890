import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openPrivateServer, type PrivateServer } from "../private-server.ts";
import type { GaleraNode } from "./cluster.ts";
import type { Ports } from "./ports.ts";
import type { Programs } from "./programs.ts";
import { createStateFile } from "./state.ts";

/** A node as its cluster sees it. */
export interface Node extends GaleraNode {
  /** Makes the data and starts, as the first one of a new cluster. The others get its data when they join. */
  readonly found: (options: { readonly signal?: AbortSignal | undefined }) => Promise<void>;
  readonly close: () => Promise<void>;
}

export interface NodePlan {
  readonly cluster: string;
  readonly name: string;
  readonly host: string;
  readonly ports: Ports;
  /** Where all nodes listen for each other, this one included. */
  readonly peers: readonly string[];
  readonly password: string;
  readonly programs: Programs;
}

export async function createNode(plan: NodePlan): Promise<Node> {
  const { host, name, password, ports, programs } = plan;
  const server = await openPrivateServer("galera", programs.folder);
  const data = dataOf(server.folder);
  mkdirSync(data);
  server.giveAway(data);
  const state = createStateFile(server.folder, server.giveAway);
  let serving: ReturnType<PrivateServer["serve"]> | undefined;

  const start = async (args: readonly string[], signal: AbortSignal | undefined): Promise<void> => {
    signal?.throwIfAborted();
    await server.end("SIGKILL");
    state.forget();
    const current = server.serve("mariadbd", [...settings(plan, server.folder, state.command), ...args]);
    serving = current;
    const deadline = performance.now() + START_MS;
    const isUp = async (): Promise<boolean> => state.read()?.status === "synced" && greets(host, ports.mysql);
    while (!(await isUp())) {
      signal?.throwIfAborted();
      const why = current.ended();
      if (why !== undefined) throw new Error(why);
      if (performance.now() > deadline) {
        throw new Error(`${name} did not catch up within ${START_MS / 1000} s: ${JSON.stringify(state.read())}`);
      }
      await sleep(50);
    }
  };

  return {
    url: `mysql://${USER}:${password}@${host}:${ports.mysql}/${DATABASE}`,
    found: async ({ signal }) => {
      await makeData(server, plan);
      await start(["--wsrep-new-cluster"], signal);
    },
    restart: ({ signal } = {}) => start([], signal),
    kill: () => server.end("SIGKILL"),
    state: () => (serving === undefined || serving.ended() !== undefined ? undefined : state.read()),
    close: server.close,
  };
}

/** A snapshot and 30 s in which a majority may come about. */
const START_MS = 180_000;
const USER = "tidemark";
const DATABASE = "tidemark";

async function makeData(server: PrivateServer, { password, programs }: NodePlan): Promise<void> {
  const file = join(server.folder, "first.sql");
  const statements = [
    // Loads the accounts: the server that runs this has none.
    "flush privileges",
    `create database ${DATABASE}`,
    `create user '${USER}'@'%' identified by '${password}'`,
    `grant all privileges on *.* to '${USER}'@'%' with grant option`,
  ];
  writeFileSync(file, statements.map((statement) => `${statement};\n`).join(""), { mode: 0o600 });
  server.giveAway(file);
  await server.run(programs.install, [
    "--no-defaults",
    `--datadir=${dataOf(server.folder)}`,
    "--skip-test-db",
    "--skip-name-resolve",
    `--extra-file=${file}`,
    ...memory,
  ]);
}

function settings(plan: NodePlan, folder: string, notify: string): readonly string[] {
  const { host, ports } = plan;
  const replication = {
    "gmcast.listen_addr": `tcp://${host}:${ports.group}`,
    "ist.recv_addr": `${host}:${ports.increment}`,
    "gcache.size": "16M",
  };
  return [
    "--no-defaults",
    `--datadir=${dataOf(folder)}`,
    `--bind-address=${host}`,
    `--port=${ports.mysql}`,
    // In the folder of the data. The path of a socket may not be long, that of a temporary folder is.
    "--socket=socket",
    "--pid-file=pid",
    "--skip-name-resolve",
    "--max-connections=300",
    "--character-set-server=utf8mb4",
    ...memory,
    // What a killed process has committed is with the operating system: enough, since no test cuts the power.
    "--innodb-flush-log-at-trx-commit=2",
    // These two are what Galera needs.
    "--binlog-format=row",
    "--innodb-autoinc-lock-mode=2",
    "--wsrep-on=on",
    `--wsrep-provider=${plan.programs.provider}`,
    `--wsrep-provider-options=${Object.entries(replication)
      .map(([key, value]) => `${key}=${value}`)
      .join(";")}`,
    `--wsrep-cluster-name=${plan.cluster}`,
    `--wsrep-cluster-address=gcomm://${plan.peers.join(",")}`,
    `--wsrep-node-name=${plan.name}`,
    `--wsrep-node-address=${host}:${ports.group}`,
    `--wsrep-node-incoming-address=${host}:${ports.mysql}`,
    "--wsrep-sst-method=rsync",
    `--wsrep-sst-receive-address=${host}:${ports.snapshot}`,
    `--wsrep-notify-cmd=${notify}`,
  ];
}

const memory = ["--innodb-log-file-size=16M", "--innodb-buffer-pool-size=64M"];

function dataOf(folder: string): string {
  return join(folder, "data");
}

/** A server that takes connections speaks first. */
function greets(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.on("data", () => {
      resolve(true);
      socket.destroy();
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(false));
  });
}

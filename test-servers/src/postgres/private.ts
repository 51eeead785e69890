import { join } from "node:path";
import { servePrivately } from "../serve-privately.ts";
import type { Order, OwnServer } from "../server.ts";
import { CRASH, reach, settings, USER } from "./settings.ts";

/** Runs a PostgreSQL server from its programs, with data of its own in a temporary folder. */
export function startPrivately(programs: string, order: Order): Promise<OwnServer> {
  return servePrivately(
    {
      kind: "postgres",
      programs,
      secret: { name: PASSWORD, content: (password) => password },
      makeData: (server, data) =>
        server.run("initdb", [
          `--pgdata=${data}`,
          `--username=${USER}`,
          `--pwfile=${join(server.folder, PASSWORD)}`,
          "--auth=scram-sha-256",
          "--encoding=UTF8",
          // The one locale that every machine has.
          "--locale=C",
          ...(order.durable ? [] : ["--no-sync"]),
        ]),
      program: "postgres",
      args: ({ host, port, data }) => {
        const listen = [`listen_addresses=${host}`, `port=${port}`, "unix_socket_directories="];
        return ["-D", data, ...listen.flatMap((set) => ["-c", set]), ...settings(order.durable)];
      },
      crash: CRASH,
      ...reach,
    },
    order,
  );
}

const PASSWORD = "password";

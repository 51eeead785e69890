import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, openPrivateServer, type PrivateServer } from "../private-server.ts";
import type { Order, OwnServer } from "../server.ts";
import { untilItAnswers } from "./client.ts";
import { settings, USER } from "./settings.ts";

const HOST = "127.0.0.1";

/** Runs a PostgreSQL server from its programs, with data of its own in a temporary folder. */
export async function startPrivately(programs: string, { durable, signal }: Order): Promise<OwnServer> {
  const server = await openPrivateServer("postgres", programs);
  try {
    const data = join(server.folder, "data");
    // Any user of this machine reaches the port, and a superuser of PostgreSQL runs programs: hence a password.
    const password = randomBytes(12).toString("hex");
    await makeCluster(server, { data, password, durable });
    signal?.throwIfAborted();

    const port = await freePort(HOST);
    const url = `postgres://${USER}:${password}@${HOST}:${port}/postgres`;
    const listen = [`listen_addresses=${HOST}`, `port=${port}`, "unix_socket_directories="].flatMap((set) => [
      "-c",
      set,
    ]);
    const run = async (): Promise<void> => {
      const serving = server.serve("postgres", ["-D", data, ...listen, ...settings(durable)]);
      await untilItAnswers(url, { broken: serving.ended, signal });
    };
    await run();
    return {
      url,
      restart: async () => {
        // PostgreSQL's immediate shutdown: nothing is written any more, the next start recovers.
        await server.end("SIGQUIT");
        await run();
      },
      stop: server.close,
    };
  } catch (error) {
    await server.close();
    throw error;
  }
}

async function makeCluster(
  server: PrivateServer,
  { data, password, durable }: { readonly data: string; readonly password: string; readonly durable: boolean },
): Promise<void> {
  const passwordFile = join(server.folder, "password");
  writeFileSync(passwordFile, password, { mode: 0o600 });
  server.giveAway(passwordFile);
  await server.run("initdb", [
    `--pgdata=${data}`,
    `--username=${USER}`,
    `--pwfile=${passwordFile}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    // The one locale that every machine has.
    "--locale=C",
    ...(durable ? [] : ["--no-sync"]),
  ]);
}

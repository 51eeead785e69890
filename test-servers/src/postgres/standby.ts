import { join } from "node:path";
import { freePort } from "../ports.ts";
import { openPrivateServer } from "../private-server.ts";
import { untilItAnswers } from "../until-it-answers.ts";
import { binariesHere } from "./binaries.ts";
import { askVersion, withClient } from "./client.ts";
import { settings } from "./settings.ts";

export interface Standby {
  /** As the primary's, with its databases, users and passwords. */
  readonly url: string;
  /** Makes it a primary; settles when it takes writes. */
  readonly promote: () => Promise<void>;
  /** Ends it and removes what it left; may be called twice. */
  readonly stop: () => Promise<void>;
}

/**
 * Starts a standby of the PostgreSQL server behind a URL of this machine, which is asynchronous: it replays what the
 * primary has committed, a little later. Needs the programs of PostgreSQL on this machine, pg_basebackup among them and
 * of the primary's version; what npm ships has none. Fails with the reason where there is no way.
 */
export async function startStandby(primaryUrl: string): Promise<Standby> {
  const server = await openPrivateServer("postgres-standby", await binariesHere(process.env));
  try {
    const data = join(server.folder, "data");
    await server.run("pg_basebackup", [
      `--pgdata=${data}`,
      `--dbname=${primaryUrl}`,
      "--checkpoint=fast",
      "--wal-method=stream",
      // What makes it a standby, and tells it where its primary is.
      "--write-recovery-conf",
    ]);
    const port = await freePort(HOST);
    const listen = [`listen_addresses=${HOST}`, `port=${port}`, "unix_socket_directories="];
    const serving = server.serve("postgres", ["-D", data, ...listen.flatMap((set) => ["-c", set]), ...settings(true)]);
    const url = new URL(primaryUrl);
    url.hostname = HOST;
    url.port = String(port);
    await untilItAnswers(() => askVersion(url.href), { broken: serving.ended, signal: undefined });
    return {
      url: url.href,
      promote: () => withClient(url.href, (client) => client.query("select pg_promote(true)")),
      stop: server.close,
    };
  } catch (error) {
    await server.close();
    throw error;
  }
}

const HOST = "127.0.0.1";

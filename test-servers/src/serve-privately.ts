import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./ports.ts";
import { openPrivateServer, type PrivateServer } from "./private-server.ts";
import type { Order, OwnServer, Reach } from "./server.ts";
import { untilItAnswers } from "./until-it-answers.ts";

export interface PrivatePlan extends Reach {
  readonly kind: string;
  /** The folder with the server's programs. */
  readonly programs: string;
  /** Makes the data, in a folder that is not there yet. */
  readonly makeData: (server: PrivateServer, data: string) => Promise<void>;
  /** The server itself. */
  readonly program: string;
  readonly args: (place: Place) => readonly string[];
  /** A file that only the server may read, from which its only user gets the password. */
  readonly secret: { readonly name: string; readonly content: (password: string) => string };
  /** Ends the server so that nothing is written any more, and the next start recovers. */
  readonly crash: NodeJS.Signals;
}

/** Where the server listens, what it has to itself (the data are in the folder), and where its programs are run. */
interface Place {
  readonly host: string;
  readonly port: number;
  readonly folder: string;
  readonly data: string;
  readonly programs: string;
}

const HOST = "127.0.0.1";

/** Runs a server from its programs, with data of its own in a temporary folder. */
export async function servePrivately(plan: PrivatePlan, { signal }: Order): Promise<OwnServer> {
  const server = await openPrivateServer(plan.kind, plan.programs);
  try {
    const data = join(server.folder, "data");
    // Any user of this machine reaches the port, and whoever may do anything in the server runs programs: hence a password.
    const password = randomBytes(12).toString("hex");
    const secret = join(server.folder, plan.secret.name);
    writeFileSync(secret, plan.secret.content(password), { mode: 0o600 });
    server.giveAway(secret);
    await plan.makeData(server, data);
    signal?.throwIfAborted();

    const port = await freePort(HOST);
    const url = plan.url({ host: HOST, port, password });
    const place = { host: HOST, port, folder: server.folder, data, programs: server.programs };
    const run = async (): Promise<void> => {
      const serving = server.serve(plan.program, plan.args(place));
      await untilItAnswers(() => plan.askVersion(url), { broken: serving.ended, signal });
    };
    await run();
    return {
      url,
      restart: async () => {
        await server.end(plan.crash);
        await run();
      },
      stop: server.close,
    };
  } catch (error) {
    await server.close();
    throw error;
  }
}

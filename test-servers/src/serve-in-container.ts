import { randomBytes } from "node:crypto";
import { startContainer } from "./container.ts";
import type { Order, OwnServer, Reach } from "./server.ts";
import { untilItAnswers } from "./until-it-answers.ts";

export interface ServingPlan extends Reach {
  readonly image: string;
  /** Whether an image that is not here is worth a download. */
  readonly mayPull: boolean;
  /** Where the server listens inside. */
  readonly port: number;
  /** The server and its settings, for the image's docker-entrypoint.sh. */
  readonly command: readonly string[];
  readonly environment: (password: string) => Readonly<Record<string, string>>;
  /** Folders that shall be in memory. */
  readonly inMemory: readonly string[];
  /** In the first line of which file the server writes the id of its process: as a shell in the container says it. */
  readonly pidFile: string;
  /** Ends the server so that nothing is written any more, and the next start recovers. */
  readonly crash: NodeJS.Signals;
}

/**
 * The server comes again where `restart` has asked for it, within the same container: a container that is started again
 * has another port, and its tmpfs is empty.
 */
const AGAIN = "/tmp/tidemark-again";
const serve = `while docker-entrypoint.sh "$@"; [ -e ${AGAIN} ]; do rm ${AGAIN}; done`;
const crash = (pidFile: string, signal: NodeJS.Signals): string => `
  pid=$(head -n 1 "${pidFile}")
  touch ${AGAIN}
  kill -${signal.slice("SIG".length)} "$pid"
  while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done`;

/** Runs a server from an image that follows the official one. */
export async function serveInContainer(plan: ServingPlan, { signal }: Order): Promise<OwnServer> {
  const { image, mayPull, port, inMemory } = plan;
  const password = randomBytes(12).toString("hex");
  const container = await startContainer({
    image,
    mayPull,
    port,
    entrypoint: ["sh", "-c", serve, "serve"],
    command: [...plan.command],
    environment: plan.environment(password),
    inMemory,
  });
  const url = plan.url({ host: container.host, port: container.port, password });
  const answers = (): Promise<void> => untilItAnswers(() => plan.askVersion(url), { signal });
  try {
    await answers();
  } catch (error) {
    await container.remove();
    throw error;
  }
  return {
    url,
    restart: async () => {
      await container.run(["sh", "-c", crash(plan.pidFile, plan.crash)]);
      await answers();
    },
    stop: container.remove,
  };
}

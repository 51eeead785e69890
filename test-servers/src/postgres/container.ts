import { randomBytes } from "node:crypto";
import { startContainer } from "../container.ts";
import type { Order, OwnServer } from "../server.ts";
import { untilItAnswers } from "./client.ts";
import { settings, USER } from "./settings.ts";

const MEMORY = "/tidemark";

/**
 * The server comes again where `restart` has asked for it, within the same container: a container that is started again
 * has another port, and its tmpfs is empty.
 */
const AGAIN = "/tmp/tidemark-again";
const serve = `while docker-entrypoint.sh "$@"; [ -e ${AGAIN} ]; do rm ${AGAIN}; done`;
// SIGQUIT is PostgreSQL's immediate shutdown: nothing is written any more, the next start recovers.
const crash = `
  pid=$(head -n 1 "$PGDATA/postmaster.pid")
  touch ${AGAIN}
  kill -QUIT "$pid"
  while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done`;

/** Runs a PostgreSQL server from an image that follows the official one. */
export async function startInContainer(
  image: string,
  { durable, signal, mayPull }: Order & { readonly mayPull: boolean },
): Promise<OwnServer> {
  const password = randomBytes(12).toString("hex");
  const container = await startContainer({
    image,
    mayPull,
    port: 5432,
    entrypoint: ["sh", "-c", serve, "serve"],
    command: ["postgres", ...settings(durable)],
    environment: {
      POSTGRES_USER: USER,
      POSTGRES_PASSWORD: password,
      ...(durable ? {} : { PGDATA: `${MEMORY}/data`, POSTGRES_INITDB_ARGS: "--no-sync" }),
    },
    inMemory: durable ? [] : [MEMORY],
  });
  const url = `postgres://${USER}:${password}@${container.host}:${container.port}/postgres`;
  const answers = (): Promise<void> => untilItAnswers(url, { signal });
  try {
    await answers();
  } catch (error) {
    await container.remove();
    throw error;
  }
  return {
    url,
    restart: async () => {
      await container.run(["sh", "-c", crash]);
      await answers();
    },
    stop: container.remove,
  };
}

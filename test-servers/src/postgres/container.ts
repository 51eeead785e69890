import { serveInContainer } from "../serve-in-container.ts";
import type { Order, OwnServer } from "../server.ts";
import { CRASH, reach, settings, USER } from "./settings.ts";

const MEMORY = "/tidemark";

/** Runs a PostgreSQL server from an image that follows the official one. */
export function startInContainer(
  image: string,
  { mayPull, ...order }: Order & { readonly mayPull: boolean },
): Promise<OwnServer> {
  const { durable } = order;
  const plan = {
    image,
    mayPull,
    port: 5432,
    command: ["postgres", ...settings(durable)],
    environment: (password: string) => ({
      POSTGRES_USER: USER,
      POSTGRES_PASSWORD: password,
      ...(durable ? {} : { PGDATA: `${MEMORY}/data`, POSTGRES_INITDB_ARGS: "--no-sync" }),
    }),
    inMemory: durable ? [] : [MEMORY],
    pidFile: "$PGDATA/postmaster.pid",
    crash: CRASH,
    ...reach,
  } as const;
  return serveInContainer(plan, order);
}

import type { Reach } from "../server.ts";
import { askVersion } from "./client.ts";

/** What every PostgreSQL server of ours is started with. */
export function settings(durable: boolean): readonly string[] {
  const fast = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"];
  return ["max_connections=300", "max_prepared_transactions=20", ...(durable ? [] : fast)].flatMap((set) => [
    "-c",
    set,
  ]);
}

export const USER = "tidemark";

export const reach: Reach = {
  url: ({ host, port, password }) => `postgres://${USER}:${password}@${host}:${port}/postgres`,
  askVersion,
};

/** PostgreSQL's immediate shutdown. */
export const CRASH = "SIGQUIT";

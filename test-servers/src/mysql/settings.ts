import type { Reach } from "../server.ts";
import type { Flavour } from "./flavours.ts";

/** What every MySQL and MariaDB server of ours is started with. */
export function settings(durable: boolean): readonly string[] {
  return [...ALWAYS, ...(durable ? [] : FAST)].map((set) => `--${set}`);
}

const ALWAYS = [
  "max-connections=500",
  "character-set-server=utf8mb4",
  // Whoever connects is not looked up by the address, which takes as long as the network likes.
  "skip-name-resolve",
];

const FAST = [
  "innodb-flush-log-at-trx-commit=0",
  "innodb-doublewrite=OFF",
  // Every other one syncs the files of a table that is made. MariaDB means to forget the setting some day.
  "loose-innodb-flush-method=nosync",
  "sync-binlog=0",
  "skip-log-bin",
];

export const USER = "root";

export function reach({ askVersion }: Flavour): Reach {
  // The one database that every server has and that takes whoever connects.
  return { url: ({ host, port, password }) => `mysql://${USER}:${password}@${host}:${port}/mysql`, askVersion };
}

/** A polite end writes what it still has. */
export const CRASH = "SIGKILL";

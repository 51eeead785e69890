import type { Environment, ServerDefinition, Way } from "../server.ts";
import { newestHere, oldMariadbHere } from "./binaries.ts";
import { startInContainer } from "./container.ts";
import { type Flavour, mariadb, mysql } from "./flavours.ts";
import { startPrivately } from "./private.ts";

/** Of both flavours the default one, and the oldest that the adapter supports. */
export const mysqlServers: readonly ServerDefinition[] = [
  {
    name: "mysql",
    variable: "TIDEMARK_MYSQL_URL",
    advice:
      "start Docker, or install MySQL 8.0 or newer (Ubuntu: apt-get install mysql-server; macOS: brew install mysql), " +
      "or point TIDEMARK_MYSQL_URL at one whose user may create databases and end connections: mysql://user:password@host:3306/mysql",
    askVersion: mysql.askVersion,
    ways: [container(mysql, "mysql:9", "TIDEMARK_MYSQL_IMAGE"), binaries(mysql, newestHere(mysql))],
  },
  {
    name: "mysql-oldest",
    variable: "TIDEMARK_MYSQL_OLDEST_URL",
    advice:
      "start Docker where mysql:8.0 can be pulled, or point TIDEMARK_MYSQL_OLDEST_URL at a MySQL 8.0 whose user may create databases and end connections",
    askVersion: mysql.askVersion,
    ways: [container(mysql, "mysql:8.0")],
  },
  {
    name: "mariadb",
    variable: "TIDEMARK_MARIADB_URL",
    advice:
      "start Docker, or install MariaDB 10.6 or newer (Debian: apt-get install mariadb-server; macOS: brew install mariadb), " +
      "or point TIDEMARK_MARIADB_URL at one whose user may create databases and end connections: mysql://user:password@host:3306/mysql",
    askVersion: mariadb.askVersion,
    ways: [container(mariadb, "mariadb:11", "TIDEMARK_MARIADB_IMAGE"), binaries(mariadb, newestHere(mariadb))],
  },
  {
    name: "mariadb-oldest",
    variable: "TIDEMARK_MARIADB_OLDEST_URL",
    advice:
      "start Docker where mariadb:10.6 can be pulled, or install MariaDB 10.6 to 10.11 (Debian 12: apt-get install mariadb-server), " +
      "or point TIDEMARK_MARIADB_OLDEST_URL at a MariaDB 10.6 whose user may create databases and end connections",
    askVersion: mariadb.askVersion,
    ways: [container(mariadb, "mariadb:10.6"), binaries(mariadb, oldMariadbHere)],
  },
];

/** @param variable the environment variable that may name another image */
function container(flavour: Flavour, image: string, variable?: string): Way {
  const imageIn = (env: Environment): string => (variable === undefined ? undefined : env[variable]) || image;
  return { source: "container", start: (order) => startInContainer(flavour, imageIn(order.env), order) };
}

function binaries(flavour: Flavour, here: (env: Environment) => Promise<string>): Way {
  return { source: "binaries", start: async (order) => startPrivately(flavour, await here(order.env), order) };
}

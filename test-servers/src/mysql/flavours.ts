import { join } from "node:path";
import { firstOf, type Place, type Product } from "../installed.ts";
import type { PrivateServer } from "../private-server.ts";
import { askVersionOf } from "./client.ts";

/** MySQL and MariaDB, where they are not the same. */
export interface Flavour {
  readonly name: "mysql" | "mariadb";
  /** Fails where the server is of the other flavour. */
  readonly askVersion: (url: string) => Promise<string>;
  /** What is installed, in the versions that the adapter supports. */
  readonly product: Product;
  /** Of an image that follows the official one. Nobody needs the names of time zones, which take long to load. */
  readonly environment: (password: string) => Readonly<Record<string, string>>;
  /** Makes the data of a private server. */
  readonly makeData: (server: PrivateServer, data: string) => Promise<void>;
}

export const mysql: Flavour = {
  name: "mysql",
  askVersion: (url) => askVersionOf("MySQL", url),
  product: {
    program: "mysqld",
    needs: [],
    places: places("mysql"),
    // MariaDB's server also goes by the name mysqld.
    version: /^(?!.*MariaDB).* Ver (\d+)\.(\d+)/,
    suits: ({ major }) => major >= 8,
    wanted: "MySQL 8.0 or newer",
  },
  environment: (password) => ({ MYSQL_ROOT_PASSWORD: password, MYSQL_INITDB_SKIP_TZINFO: "1" }),
  makeData: (server, data) => server.run("mysqld", ["--no-defaults", "--initialize-insecure", `--datadir=${data}`]),
};

const installers = ["../bin/mariadb-install-db", "../scripts/mariadb-install-db", "mariadb-install-db"];

export const mariadb: Flavour = {
  name: "mariadb",
  askVersion: (url) => askVersionOf("MariaDB", url),
  product: {
    program: "mariadbd",
    needs: [installers],
    places: places("mariadb"),
    version: / Ver (\d+)\.(\d+)\.\d+-MariaDB/,
    suits: ({ major, minor }) => major > 10 || (major === 10 && minor >= 6),
    wanted: "MariaDB 10.6 or newer",
  },
  environment: (password) => ({ MARIADB_ROOT_PASSWORD: password, MARIADB_INITDB_SKIP_TZINFO: "1" }),
  makeData: (server, data) =>
    server.run(firstOf(server.programs, installers) ?? "mariadb-install-db", [
      "--no-defaults",
      `--basedir=${join(server.programs, "..")}`,
      `--datadir=${data}`,
      `--tmpdir=${server.folder}`,
      "--skip-test-db",
    ]),
};

function places(name: Flavour["name"]): readonly Place[] {
  const versions = new RegExp(`^${name}(@[\\d.]+)?$`);
  return [
    // Often not on the PATH of those who are not root.
    ["/usr", /^(sbin|libexec)$/, ""],
    ["/usr/local", new RegExp(`^${name}$`), "bin"],
    ["/opt/homebrew/opt", versions, "bin"],
    ["/usr/local/opt", versions, "bin"],
    ["/home/linuxbrew/.linuxbrew/opt", versions, "bin"],
  ];
}

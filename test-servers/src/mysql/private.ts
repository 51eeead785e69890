import { join } from "node:path";
import { servePrivately } from "../serve-privately.ts";
import type { Order, OwnServer } from "../server.ts";
import type { Flavour } from "./flavours.ts";
import { CRASH, reach, settings, USER } from "./settings.ts";

/** Runs a server from its programs, with data of its own in a temporary folder. */
export function startPrivately(flavour: Flavour, programs: string, order: Order): Promise<OwnServer> {
  const { name, product, makeData } = flavour;
  return servePrivately(
    {
      kind: name,
      programs,
      secret: { name: ACCOUNTS, content: accounts },
      makeData,
      program: product.program,
      args: ({ host, port, folder, data, programs: bin }) => [
        // Has to be the first.
        "--no-defaults",
        `--basedir=${join(bin, "..")}`,
        `--datadir=${data}`,
        `--tmpdir=${folder}`,
        `--bind-address=${host}`,
        `--port=${port}`,
        // Short, since the whole path may have no more than a hundred characters.
        `--socket=${join(folder, "s")}`,
        `--pid-file=${join(folder, "pid")}`,
        `--init-file=${join(folder, ACCOUNTS)}`,
        // MySQL's other protocol has a port of its own, which may be taken.
        "--loose-mysqlx=OFF",
        ...settings(order.durable),
      ],
      crash: CRASH,
      ...reach(flavour),
    },
    order,
  );
}

const ACCOUNTS = "accounts.sql";

/** Carried out each time before the server takes connections. A statement a line. */
function accounts(password: string): string {
  return `
create user if not exists '${USER}'@'%' identified by '${password}';
grant all on *.* to '${USER}'@'%' with grant option;
alter user '${USER}'@'localhost' identified by '${password}';
`;
}

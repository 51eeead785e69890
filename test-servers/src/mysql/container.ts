import { serveInContainer } from "../serve-in-container.ts";
import type { Order, OwnServer } from "../server.ts";
import type { Flavour } from "./flavours.ts";
import { CRASH, reach, settings } from "./settings.ts";

const DATA = "/var/lib/mysql";
const PID_FILE = "/tmp/tidemark-pid";

/** Runs a server from an image that follows the official one. */
export function startInContainer(flavour: Flavour, image: string, order: Order): Promise<OwnServer> {
  return serveInContainer(
    {
      image,
      mayPull: true,
      port: 3306,
      command: [flavour.product.program, ...settings(order.durable), `--pid-file=${PID_FILE}`],
      environment: flavour.environment,
      inMemory: order.durable ? [] : [DATA],
      pidFile: PID_FILE,
      crash: CRASH,
      ...reach(flavour),
    },
    order,
  );
}

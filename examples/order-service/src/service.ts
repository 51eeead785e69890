import { createWorker } from "@tidemark/worker";
import { createApp } from "./app.ts";
import { createHttpBroker } from "./broker.ts";
import { definePublisher, defineSales } from "./consumers.ts";
import { openPostgresShop } from "./postgres.ts";
import type { Shop } from "./shop.ts";
import { openSqliteShop } from "./sqlite.ts";

// The program of each of the four processes. As many of it may run as you like.
const { SERVICE_NAME: name = "service", BROKER_URL = "", PORT = "0", ORDERS_FILE = "" } = process.env;
const { TIDEMARK_POSTGRES_URL: url } = process.env;

await (url === undefined ? serve(await openSqliteShop(ORDERS_FILE)) : serve(await openPostgresShop(url)));

async function serve<Tx>({ store, sales, close }: Shop<Tx>): Promise<void> {
  const worker = createWorker(store, {
    name,
    consumers: [defineSales(sales), definePublisher(createHttpBroker(BROKER_URL, name))],
    // Short, so that you see soon how the segments of a dead process are taken over. The defaults are for production.
    leaseMs: 1_500,
    memberLeaseMs: 900,
    poll: { maxMs: 200 },
  });
  const app = createApp({ store, sales, worker });

  const stop = async (): Promise<void> => {
    await app.close(); // Requests under way are answered, and they may need the worker for that.
    await worker.drain();
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void stop());
  process.once("disconnect", () => void stop()); // Without the process that started it, it has no purpose.

  const address = await app.listen({ host: "127.0.0.1", port: Number(PORT) });
  process.send?.({ url: address });
  await worker.run();
  await close();
  console.log("drained: all segments are free, all requests answered");
  if (process.connected) process.disconnect();
}

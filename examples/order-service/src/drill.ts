import { type BrokerServer, startBroker } from "./broker-server.ts";
import { SEGMENTS } from "./consumers.ts";
import { segmentsOf, type Service, startFleet, until } from "./fleet.ts";
import { clearPostgresShop, openPostgresShop } from "./postgres.ts";
import { makeOrders, placeAll, salesOf } from "./shoppers.ts";
import type { Place, Sales } from "./shop.ts";
import { clearSqliteShop, openSqliteShop } from "./sqlite.ts";

const SIZE = 4;

export interface DrillOptions {
  readonly place: Place;
  readonly orders: number;
  readonly say: (line: string) => void;
}

export interface DrillResult {
  /** The read model, and what it should be. */
  readonly sales: readonly Sales[];
  readonly expected: readonly Sales[];
  /** What subscribers of the broker got, and what was dropped. */
  readonly published: number;
  readonly duplicates: number;
  /** Metrics of the processes that were not killed, at the end. */
  readonly metrics: string;
  /** Of the same. */
  readonly exitCodes: readonly (number | null)[];
}

/** Four processes at work, one of them killed at the worst moment, the others drained at the end. */
export async function drill({ place, orders: count, say }: DrillOptions): Promise<DrillResult> {
  await clear(place);
  let fleet: readonly Service[] = [];
  let killed: string | undefined;
  const broker = await startBroker((publisher, accepted) => {
    // The broker has the message, and its publisher will never know: whoever takes over publishes it again.
    if (killed !== undefined || accepted < count / 2) return;
    killed = publisher;
    fleet.find(({ name }) => name === killed)?.kill();
    say(`kill -9    ${killed}, which has just published message ${accepted} and does not know it`);
  });
  try {
    fleet = await startFleet({ place, brokerUrl: broker.url, size: SIZE, say });
    await shared(fleet);
    await sayShares(fleet, say);

    const orders = makeOrders(count);
    const repeated = await placeAll(fleet, orders);
    say(`placed     ${count} orders, 32 at once; ${repeated} requests were repeated at another process`);

    await until("one of them is killed", async () => killed !== undefined);
    const left = fleet.filter(({ hasEnded }) => !hasEnded);
    await shared(left);
    await sayShares(left, say);
    await until("all is published", async () => broker.accepted.length >= count);
    let metrics = "";
    await until("they are ready and have caught up", async () => {
      const all = await Promise.all(left.map(({ url }) => metricsOf(url)));
      metrics = all.join("\n");
      return all.every((one) => one.includes("tidemark_worker_ready 1\n")) && hasCaughtUp(metrics);
    });

    say("SIGTERM    to all that are left");
    const exitCodes = await Promise.all(left.map((service) => service.stop()));
    const sales = await readSales(place);
    return { sales, expected: salesOf(orders), ...publishedBy(broker), metrics, exitCodes };
  } finally {
    for (const service of fleet) service.kill();
    await broker.close();
  }
}

async function metricsOf(url: string): Promise<string> {
  return (await fetch(`${url}/metrics`)).text();
}

/** Each process tells of the segments that it holds. */
function hasCaughtUp(metrics: string): boolean {
  const lags = [...metrics.matchAll(/^tidemark_consumer_lag\{consumer="sales",segment="\d"\} (\d+)$/gm)];
  return lags.length >= SEGMENTS && lags.every(([, lag]) => lag === "0");
}

/** Starts four processes and leaves them alone until the signal fires. */
export async function serve(place: Place, say: (line: string) => void, signal: AbortSignal): Promise<void> {
  await clear(place);
  const broker = await startBroker((publisher, accepted) => say(`broker     has ${accepted}, from ${publisher}`));
  const fleet = await startFleet({ place, brokerUrl: broker.url, size: SIZE, port: 3001, say });
  for (const { name, url } of fleet) say(`${name}  ${url}`);
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  await Promise.all(fleet.map((service) => service.stop()));
  await broker.close();
}

/** Resolves when they have all segments, each the same number give or take one. */
async function shared(fleet: readonly Service[]): Promise<void> {
  await until("the segments are shared", async () => {
    const held = await Promise.all(fleet.map(segmentsOf));
    const counts = held.map((consumers) => consumers.map(({ segments }) => segments.length));
    return [0, 1].every((consumer) => {
      const shares = counts.map((each) => each[consumer] ?? 0);
      return (
        shares.reduce((sum, share) => sum + share, 0) === SEGMENTS && Math.max(...shares) - Math.min(...shares) <= 1
      );
    });
  });
}

async function sayShares(fleet: readonly Service[], say: (line: string) => void): Promise<void> {
  for (const service of fleet) {
    const held = (await segmentsOf(service)).map(({ name, segments }) => `${name} ${segments.join(" ")}`);
    say(`${service.name}  holds the segments ${held.join(", ")}`);
  }
}

function publishedBy({ accepted, duplicates }: BrokerServer): Pick<DrillResult, "published" | "duplicates"> {
  return { published: accepted.length, duplicates };
}

async function clear(place: Place): Promise<void> {
  if (place.kind === "sqlite") clearSqliteShop(place.file);
  else await clearPostgresShop(place.url);
}

async function readSales(place: Place): Promise<readonly Sales[]> {
  const { sales, close } = await (place.kind === "sqlite" ? openSqliteShop(place.file) : openPostgresShop(place.url));
  try {
    return await sales.all();
  } finally {
    await close();
  }
}

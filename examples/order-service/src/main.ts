import { isDeepStrictEqual } from "node:util";
import { fileURLToPath } from "node:url";
import { drill, serve } from "./drill.ts";
import type { Place } from "./shop.ts";

const { TIDEMARK_POSTGRES_URL: url } = process.env;
const file = fileURLToPath(new URL("../.data/orders.sqlite", import.meta.url));
const place: Place = url === undefined ? { kind: "sqlite", file } : { kind: "postgres", url };
const say = (line: string): void => console.log(line);

say(`database   ${place.kind === "sqlite" ? place.file : "PostgreSQL"}`);
if (process.argv.includes("--serve")) {
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop.abort());
  await serve(place, say, stop.signal);
} else {
  const { sales, expected, published, duplicates, exitCodes } = await drill({ place, orders: 400, say });
  const orders = sales.reduce((sum, row) => sum + row.orders, 0);
  const isRight = isDeepStrictEqual(sales, expected) && published === orders && exitCodes.every((code) => code === 0);
  say(`published  ${published} messages; the broker dropped ${duplicates} that it had already`);
  say(`read model ${orders} orders of ${sales.length} customers`);
  say(isRight ? "✓ Each order counts exactly once." : "✗ This is not what was ordered.");
  process.exitCode = isRight ? 0 : 1;
}

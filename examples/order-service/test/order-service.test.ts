import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { drill, type DrillResult } from "../src/drill.ts";
import type { Place } from "../src/shop.ts";

const folder = mkdtempSync(join(tmpdir(), "order-service-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ORDERS = 120;

const { TIDEMARK_POSTGRES_URL: url } = process.env;
const places: readonly Place[] = [
  { kind: "sqlite", file: join(folder, "orders.sqlite") },
  ...(url === undefined ? [] : [{ kind: "postgres", url } as const]),
];

describe.each(places)("four processes on $kind, of which one is killed", (place) => {
  const lines: string[] = [];
  let result: DrillResult;
  beforeAll(async () => {
    result = await drill({ place, orders: ORDERS, say: (line) => lines.push(line) });
  }, 240_000);

  it("count each order exactly once in the read model", () => {
    expect(result.sales).toEqual(result.expected);
  });

  it("publish each order, and the broker drops what the dead one had published already", () => {
    expect(result.published).toBe(ORDERS);
    expect(result.duplicates).toBeGreaterThanOrEqual(1);
  });

  it("tell how they are", () => {
    expect(result.metrics).toContain("tidemark_worker_ready 1\n");
    expect(result.metrics).toMatch(/^tidemark_consumer_lag\{consumer="sales",segment="\d"\} 0$/m);
  });

  it("drain on SIGTERM", () => {
    expect(result.exitCodes).toEqual([0, 0, 0]);
    expect(lines.filter((line) => line.includes("drained"))).toHaveLength(3);
  });
});

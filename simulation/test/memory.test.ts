import { test } from "vitest";
import { SABOTAGES } from "./memory/sabotage.ts";
import { simulate } from "./memory/simulate.ts";
import { realNow } from "./memory/virtual-time.ts";
import { expectNoticed, expectSameTwice, failWith, seedsOf } from "./seeds.ts";

const seeds = seedsOf(200);
const TIMEOUT_MS = 3_600_000;

test(
  `nothing is lost and nothing is done twice in ${seeds.length} simulated worlds`,
  { timeout: TIMEOUT_MS },
  async () => {
    const startedAt = realNow();
    let steps = 0;
    for (const seed of seeds) {
      const report = await simulate(seed);
      steps += report.steps;
      if (report.violations.length > 0) await failWith(seed, simulate);
    }
    const minutes = (realNow() - startedAt) / 60_000;
    process.stderr.write(`${Math.round(seeds.length / minutes)} simulated worlds per minute, `);
    process.stderr.write(`${Math.round(steps / seeds.length)} steps each.\n`);
  },
);

test("a seed determines everything that happens", () => expectSameTwice(simulate));

test.each(Object.entries(SABOTAGES))("the simulation notices when %s", { timeout: TIMEOUT_MS }, (_name, sabotage) =>
  expectNoticed((seed) => simulate(seed, { sabotage })),
);

import { test } from "vitest";
import { realNow } from "./memory/virtual-time.ts";
import { SABOTAGES } from "./workers/sabotage.ts";
import { simulate } from "./workers/simulate.ts";
import { expectNoticed, expectSameTwice, failWith, seedsOf } from "./seeds.ts";

/* Workers that come and go, resegmentations and promotions, in virtual time. The seeds: seeds.ts. */
const seeds = seedsOf(35);
const TIMEOUT_MS = 3_600_000;

test(
  `workers lose nothing and do nothing twice in ${seeds.length} simulated worlds`,
  { timeout: TIMEOUT_MS },
  async () => {
    const startedAt = realNow();
    const sum = { steps: 0, resegmented: 0, promoted: 0, repeated: 0 };
    for (const seed of seeds) {
      const { steps, violations, counts } = await simulate(seed);
      if (violations.length > 0) await failWith(seed, simulate);
      sum.steps += steps;
      sum.resegmented += counts.resegmented;
      sum.promoted += counts.promoted;
      sum.repeated += counts.repeated;
    }
    const minutes = (realNow() - startedAt) / 60_000;
    process.stderr.write(
      `${Math.round(seeds.length / minutes)} simulated worlds of workers per minute, ` +
        `${Math.round(sum.steps / seeds.length)} steps each; in all ${sum.resegmented} new layouts, ` +
        `${sum.promoted} promotions, ${sum.repeated} events that observers repeated.\n`,
    );
  },
);

test("a seed determines everything that happens among workers", { timeout: TIMEOUT_MS }, () =>
  expectSameTwice(simulate),
);

test.each(Object.entries(SABOTAGES))(
  "the simulation of workers notices when %s",
  { timeout: TIMEOUT_MS },
  (_name, sabotage) => expectNoticed((seed) => simulate(seed, sabotage)),
);

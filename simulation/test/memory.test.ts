import { expect, test } from "vitest";
import { SABOTAGES } from "./memory/sabotage.ts";
import { simulate } from "./memory/simulate.ts";
import { realNow } from "./memory/virtual-time.ts";

/*
 * TIDEMARK_SIMULATION_SEED=7 runs one world and tells every step of it if it fails;
 * TIDEMARK_SIMULATION_SEEDS=10000 runs that many, from TIDEMARK_SIMULATION_FIRST on.
 */
const one = process.env["TIDEMARK_SIMULATION_SEED"];
const count = Number(process.env["TIDEMARK_SIMULATION_SEEDS"] ?? 200);
const first = Number(process.env["TIDEMARK_SIMULATION_FIRST"] ?? 1);
const seeds = one === undefined ? Array.from({ length: count }, (_, index) => first + index) : [Number(one)];
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
      if (report.violations.length > 0) expect.fail(await describeFailure(seed));
    }
    const minutes = (realNow() - startedAt) / 60_000;
    process.stderr.write(`${Math.round(seeds.length / minutes)} simulated worlds per minute, `);
    process.stderr.write(`${Math.round(steps / seeds.length)} steps each.\n`);
  },
);

test("a seed determines everything that happens", async () => {
  for (const seed of [first, first + 1, first + 2]) {
    const [once, again] = [await simulate(seed, { traces: true }), await simulate(seed, { traces: true })];
    expect(again).toEqual(once);
  }
});

test.each(Object.entries(SABOTAGES))(
  "the simulation notices when %s",
  { timeout: TIMEOUT_MS },
  async (_name, sabotage) => {
    for (let seed = 1; seed <= ENOUGH_SEEDS; seed++) {
      if ((await simulate(seed, { sabotage })).violations.length > 0) return;
    }
    expect.fail(`It did not in ${ENOUGH_SEEDS} worlds.`);
  },
);

const ENOUGH_SEEDS = 300;

/** A seed runs the same way again, so its steps are written down only now. */
async function describeFailure(seed: number): Promise<string> {
  const { violations, trace } = await simulate(seed, { traces: true });
  const steps = one === undefined ? trace.slice(-30) : trace;
  const advice = `Seed ${seed} fails. Run it alone, with all of its steps, by TIDEMARK_SIMULATION_SEED=${seed}.`;
  return [advice, ...violations, "What happened last:", ...steps].join("\n");
}

import { expect } from "vitest";

/*
 * TIDEMARK_SIMULATION_SEED=7 runs one world and tells every step of it if it fails;
 * TIDEMARK_SIMULATION_SEEDS=10000 runs that many, from TIDEMARK_SIMULATION_FIRST on.
 */
const one = process.env["TIDEMARK_SIMULATION_SEED"];

const first = Number(process.env["TIDEMARK_SIMULATION_FIRST"] ?? 1);

/** What a world tells of itself, with every step if it was asked for. */
interface World {
  readonly violations: readonly string[];
  readonly trace: readonly string[];
}

type Simulate = (seed: number, options: { readonly traces: true }) => Promise<World>;

/** Those of this run, `everyday` of them unless the environment says otherwise. */
export function seedsOf(everyday: number): readonly number[] {
  if (one !== undefined) return [Number(one)];
  const count = Number(process.env["TIDEMARK_SIMULATION_SEEDS"] ?? everyday);
  return Array.from({ length: count }, (_, index) => first + index);
}

/** Fails with what happened in the world of `seed`. It runs the same way again, so its steps are written down only now. */
export async function failWith(seed: number, simulate: Simulate): Promise<never> {
  const { violations, trace } = await simulate(seed, { traces: true });
  const steps = one === undefined ? trace.slice(-30) : trace;
  const advice = `Seed ${seed} fails. Run it alone, with all of its steps, by TIDEMARK_SIMULATION_SEED=${seed}.`;
  return expect.fail([advice, ...violations, "What happened last:", ...steps].join("\n"));
}

/** Two runs of a seed are the same, step by step. */
export async function expectSameTwice(simulate: Simulate): Promise<void> {
  for (const seed of [first, first + 1, first + 2]) {
    const [once, again] = [await simulate(seed, { traces: true }), await simulate(seed, { traces: true })];
    expect(again).toEqual(once);
  }
}

/** In how many worlds a sabotage has to be noticed at the latest. */
const ENOUGH_SEEDS = 300;

export async function expectNoticed(run: (seed: number) => Promise<Pick<World, "violations">>): Promise<void> {
  for (let seed = 1; seed <= ENOUGH_SEEDS; seed++) if ((await run(seed)).violations.length > 0) return;
  expect.fail(`It did not in ${ENOUGH_SEEDS} worlds.`);
}

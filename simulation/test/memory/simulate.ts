import { consumeAgainAndAgain, consumeToTheEnd } from "./consuming.ts";
import { planConsumers } from "./consumers.ts";
import { disturb, untilNothingRuns } from "./unrest.ts";
import { operate } from "./operators.ts";
import { judge } from "./verdict.ts";
import { type SimulationOptions, World } from "./world.ts";
import { write } from "./writers.ts";

export interface SimulationReport {
  readonly seed: number;
  readonly steps: number;
  readonly violations: readonly string[];
  readonly trace: readonly string[];
  /** Handlers of observers that ran again for an event that they had come through. */
  readonly repetitions: number;
}

/** One world: some chaos, then rest, then the verdict. */
export async function simulate(seed: number, options: SimulationOptions = {}): Promise<SimulationReport> {
  const world = new World(seed, options);
  const { dice, scheduler, referee } = world;
  world.plans.push(...planConsumers(world));
  scheduler.time.install(() => dice.next());
  try {
    await chaos(world);
    if (referee.violations.length === 0) await comeToRest(world);
    if (referee.violations.length === 0) await judge(world);
  } finally {
    for (const process of world.running) scheduler.crash(process);
    await scheduler.time.everythingElse();
    scheduler.time.uninstall();
  }
  const { violations, repetitions } = referee;
  return { seed, steps: scheduler.steps, violations, trace: scheduler.trace, repetitions };
}

async function chaos(world: World): Promise<void> {
  const { dice, scheduler, referee } = world;
  const end = dice.between(200, 1_200);
  const unrest = dice.pick([0, 0.005, 0.02, 0.05]);
  for (let count = dice.between(1, 3); count > 0; count--) await startProcess(world);
  while (scheduler.steps < end && referee.violations.length === 0) {
    if (dice.chance(unrest)) await disturb(world, () => startProcess(world));
    if (!(await scheduler.step())) return;
    if (scheduler.steps % 100 === 0) await referee.checkLetters(world.plans);
  }
}

/** Starts a process with a store of its own and whatever it happens to do. */
async function startProcess(world: World): Promise<void> {
  const { dice } = world;
  const writes = dice.chance(0.7);
  const operates = dice.chance(0.4);
  const share = dice.pick([0.5, 0.8, 1]);
  await world.runProcess(async (process, store) => {
    const plans = world.plans.filter(() => dice.chance(share));
    await Promise.all([
      ...plans.map((plan) => consumeAgainAndAgain(world, process, store, plan)),
      ...(writes ? [write(world, store)] : []),
      ...(operates ? [operate(world, store)] : []),
    ]);
  });
}

async function comeToRest(world: World): Promise<void> {
  const { dice, scheduler } = world;
  world.resting = true;
  if (dice.chance(0.5)) for (const process of world.running) scheduler.crash(process);
  for (const process of world.processes) process.pausedUntil = 0;
  // What still runs comes to its end among poison and faults.
  await untilNothingRuns(world);
  world.faults = 0;
  world.poison.mendAll();
  world.leap(100_000);
  await world.runProcess((process, store) => consumeToTheEnd(world, process, store));
  await untilNothingRuns(world);
}

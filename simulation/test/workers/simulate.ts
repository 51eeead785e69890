import type { MemoryTransaction } from "@tidemark/adapter-memory";
import type { Store } from "@tidemark/core";
import { disturb, untilNothingRuns } from "../memory/unrest.ts";
import { pause } from "../memory/world.ts";
import { write } from "../memory/writers.ts";
import { planConsumers } from "./consumers.ts";
import { operate } from "./operators.ts";
import type { Warden } from "./warden.ts";
import { judge } from "./verdict.ts";
import { workAgainAndAgain, workUntil } from "./workers.ts";
import { World, type WorkerSimulationOptions } from "./world.ts";

export interface SimulationReport {
  readonly seed: number;
  readonly steps: number;
  readonly violations: readonly string[];
  readonly trace: readonly string[];
  readonly counts: Warden["counts"];
}

/** One world of workers: some chaos, then rest, then the verdict. */
export async function simulate(seed: number, options: WorkerSimulationOptions = {}): Promise<SimulationReport> {
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
  const { violations, counts } = referee;
  return { seed, steps: scheduler.steps, violations, trace: scheduler.trace, counts };
}

async function chaos(world: World): Promise<void> {
  const { dice, scheduler, referee } = world;
  const end = dice.between(1_000, 6_000);
  const unrest = dice.pick([0, 0.001, 0.004, 0.01]);
  for (let count = dice.between(1, 4); count > 0; count--) await startProcess(world);
  await world.runProcess((_process, store) => write(world, store));
  await world.runProcess((_process, store) => operate(world, store));
  while (scheduler.steps < end && referee.violations.length === 0) {
    if (dice.chance(unrest)) await disturb(world, () => startProcess(world));
    if (!(await scheduler.step())) return;
  }
}

/** A process with a store of its own, in which workers run; perhaps it does other things as well. */
async function startProcess(world: World): Promise<void> {
  const { dice } = world;
  const writes = dice.chance(0.4);
  const operates = dice.chance(0.3);
  await world.runProcess(async (process, store) => {
    await Promise.all([
      workAgainAndAgain(world, process, store),
      ...(writes ? [write(world, store)] : []),
      ...(operates ? [operate(world, store)] : []),
    ]);
  });
}

async function comeToRest(world: World): Promise<void> {
  const { dice, scheduler } = world;
  world.resting = true;
  for (const process of world.running) if (dice.chance(0.5)) scheduler.crash(process);
  for (const process of world.processes) process.pausedUntil = 0;
  // What still runs drains among poison and faults.
  await untilNothingRuns(world);
  world.faults = 0;
  world.poison.mendAll();
  world.leap(100_000);
  let isDone = false;
  for (let count = dice.between(1, 2); count > 0; count--)
    await world.runProcess((process, store) => workUntil(world, process, store, () => isDone));
  await world.runProcess(async (_process, store) => {
    await untilDone(world, store);
    isDone = true;
  });
  await untilNothingRuns(world);
}

const ROUNDS = 200;

/** What is parked is tried again and what was stopped goes on, until nothing is left to do. */
async function untilDone(world: World, store: Store<MemoryTransaction>): Promise<void> {
  const keys = world.plans.flatMap(({ name, versions }) =>
    Array.from({ length: versions }, (_, index) => ({ name, version: index + 1 })),
  );
  let left: readonly string[] = [];
  let quiet = 0;
  for (let round = 0; round < ROUNDS; round++) {
    await pause(100);
    for (const key of keys) {
      await store.consumers.enable(key);
      await store.deadLetters.retry(key, "all");
    }
    const head = await store.head();
    const states = await store.consumers.look(keys);
    const missing = states.flatMap((state, index): readonly string[] => {
      const { name, version } = keys[index] ?? {};
      if (state?.kind === undefined) return [`${name}, version ${version} is not there`];
      if (state.layout !== undefined) return [`${name}, version ${version} is on its way to another layout`];
      return state.segments
        .filter(({ position }) => position === undefined || position < head)
        .map(({ segment, position }) => `${name}, version ${version}, segment ${segment} is at ${position} of ${head}`);
    });
    for (const key of keys) {
      const letters = await store.deadLetters.count(key);
      if (letters > 0) missing.push(`${key.name} has ${letters} letters`);
      if ((await store.deadlines.due(key.name, 1)).length > 0) missing.push(`${key.name} has deadlines due`);
    }
    left = missing;
    quiet = left.length === 0 ? quiet + 1 : 0;
    // Whatever sagas have asked to be woken at is due now.
    if (quiet === 1) world.leap(1_000);
    if (quiet === 4) return;
  }
  world.referee.violation(`stuck: ${left.join("; ")}`);
}

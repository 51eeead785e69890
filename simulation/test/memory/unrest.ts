import type { SimulatedWorld } from "./world.ts";

/** Something happens to a process, or to the time. `replace` starts another one for one that has crashed. */
export async function disturb(world: SimulatedWorld, replace: () => Promise<void>): Promise<void> {
  const { dice, scheduler } = world;
  const running = world.running;
  const process = running.length === 0 ? undefined : dice.pick(running);
  switch (dice.pick(["crash", "pause", "leap", "leap"] as const)) {
    case "crash":
      if (process === undefined || world.processes.length > MOST_PROCESSES) return;
      scheduler.crash(process);
      return replace();
    case "pause":
      if (process === undefined) return;
      scheduler.note(process, "PAUSE");
      process.pausedUntil = scheduler.time.now + dice.between(10, 500);
      return;
    case "leap":
      scheduler.note(scheduler.current, "LEAP");
      world.leap(dice.between(1, 500));
  }
}

const MOST_PROCESSES = 20;

/** Goes on until every process has come to its end; one that does not is a violation. */
export async function untilNothingRuns(world: SimulatedWorld): Promise<void> {
  const { scheduler, referee } = world;
  const limit = scheduler.steps + MOST_STEPS;
  while (world.running.length > 0 && referee.violations.length === 0) {
    const goesOn = await scheduler.step();
    if (world.running.length === 0) return;
    const names = world.running.map(({ name }) => name).join(", ");
    if (!goesOn) referee.violation(`hangs: ${names} wait for nothing`);
    else if (scheduler.steps > limit) referee.violation(`does not come to rest: ${names}`);
  }
}

const MOST_STEPS = 100_000;

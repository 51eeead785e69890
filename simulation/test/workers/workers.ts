import type { MemoryTransaction } from "@tidemark/adapter-memory";
import { isTidemarkError, isTransient, type Store } from "@tidemark/core";
import { createWorker, type Worker, type WorkerOptions } from "@tidemark/worker";
import type { Process } from "../memory/scheduler.ts";
import { pause } from "../memory/world.ts";
import type { World } from "./world.ts";

/** One worker after another, each of which drains some day, until the world rests. */
export async function workAgainAndAgain(
  world: World,
  process: Process,
  store: Store<MemoryTransaction>,
): Promise<void> {
  const { dice } = world;
  while (!world.resting) {
    const end = world.scheduler.time.now + dice.between(100, dice.pick([600, 6_000]));
    const isOver = (): boolean => world.resting || world.scheduler.time.now >= end;
    await workUntil(world, process, store, isOver);
    await pause(dice.between(0, 100));
  }
}

/** Runs a worker until `isOver` says so, then drains it. A worker that has given up before is replaced by another. */
export async function workUntil(
  world: World,
  process: Process,
  store: Store<MemoryTransaction>,
  isOver: () => boolean,
): Promise<void> {
  while (!isOver()) {
    const worker = await someWorker(world, process, store);
    if (worker === undefined) {
      await pause(5);
      continue;
    }
    let hasEnded = false;
    const run = worker
      .run()
      .catch((error: unknown) => {
        // Its number of segments has changed between looking and declaring: deployed anew, it fits.
        if (isTidemarkError(error, "CONSUMER_MISMATCH")) return;
        world.referee.violation(`${worker.name} ended by ${textOf(error)}`);
      })
      .finally(() => (hasEnded = true));
    while (!hasEnded && !isOver()) await pause(10);
    world.scheduler.note(process, `drains ${worker.name}`);
    await worker.drain();
    await run;
  }
}

/** As it is deployed today. Undefined when the database does not say how. */
async function someWorker(
  world: World,
  process: Process,
  store: Store<MemoryTransaction>,
): Promise<Worker | undefined> {
  const { dice, plans, resting } = world;
  world.workers += 1;
  const consumers: WorkerOptions<MemoryTransaction>["consumers"][number][] = [];
  const some = plans.filter(() => resting || dice.chance(0.85));
  for (const plan of some.length === 0 ? plans : some) {
    for (let version = 1; version <= plan.versions; version++) {
      try {
        const stored = await store.consumers.get({ name: plan.name, version });
        consumers.push(plan.make(process, version, stored?.segments.length ?? plan.segments));
      } catch (error) {
        if (isTransient(error)) return undefined;
        throw error;
      }
    }
  }
  return createWorker(world.lie(store), {
    consumers,
    name: `worker ${world.workers}`,
    leaseMs: dice.between(150, 1_500),
    memberLeaseMs: dice.between(90, 600),
    poll: { minMs: dice.between(1, 10), maxMs: dice.between(20, 150) },
    concurrency: dice.between(1, 4),
    fetchSize: dice.between(1, 8),
    prefetch: dice.chance(0.7),
    ringEvents: dice.pick([0, 3, 20, 1_000]),
    retry: { minDelayMs: dice.between(1, 20), maxDelayMs: dice.between(20, 200) },
    drainMs: dice.between(50, 2_000),
    telemetry: false,
    logger: {
      debug: (message) => world.scheduler.note(process, message),
      info: (message) => world.scheduler.note(process, message),
      warn: (message) => world.scheduler.note(process, message),
      error: (message, { worker, error }) => {
        world.scheduler.note(process, message);
        // A handler's failures are the world's doing; everything else that is no matter of the weather is a mistake.
        if (message.includes("Stopped at an event") || isTransient(error)) return;
        world.referee.violation(`${worker} says: ${message} ${textOf(error)}`);
      },
    },
  });
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

import type { MemoryTransaction } from "@tidemark/adapter-memory";
import {
  consume,
  type ConsumeOptions,
  type ConsumeResult,
  isTidemarkError,
  isTransient,
  type Position,
  type Store,
} from "@tidemark/core";
import type { Plan } from "./plan.ts";
import type { Process } from "./scheduler.ts";
import { pause, type World } from "./world.ts";

/** Cycle after cycle, as a worker does, until the world rests. */
export async function consumeAgainAndAgain(
  world: World,
  process: Process,
  store: Store<MemoryTransaction>,
  plan: Plan,
): Promise<void> {
  const { dice, referee } = world;
  const consumer = plan.make(process);
  while (!world.resting) {
    await pause(dice.between(0, dice.pick([20, 400])));
    const controller = new AbortController();
    const abortion = dice.chance(0.15) ? setTimeout(() => controller.abort(), dice.between(1, 300)) : undefined;
    const options: ConsumeOptions = {
      leaseMs: dice.between(10, 300),
      fetchSize: dice.between(1, 8),
      maxEvents: dice.chance(0.2) ? dice.between(1, 6) : undefined,
      deadLettersOnly: dice.chance(0.1),
      signal: controller.signal,
      ...(dice.chance(0.1) && { executor: async (task) => (dice.chance(0.3) ? "rejected" : task()) }),
    };
    try {
      const result = await consume(store, consumer, options);
      world.scheduler.note(process, `${plan.name}: ${result.kind}`);
      checkResult(world, plan, result);
    } catch (error) {
      const expected = isTransient(error) || isTidemarkError(error, "ABORTED");
      if (!expected) referee.violation(`consuming ${plan.name} threw ${textOf(error)}`);
    }
    clearTimeout(abortion);
  }
}

/** Nobody crashes any more: what is parked is tried again, and everything has to be consumed to the end. */
export async function consumeToTheEnd(world: World, process: Process, store: Store<MemoryTransaction>): Promise<void> {
  const { dice, plans, referee } = world;
  for (const { name } of plans) await store.consumers.enable(name);
  const consumers = plans.map((plan) => ({ plan, consumer: plan.make(process) }));
  const all = world.cancels || dice.chance(0.5);
  for (let round = 0; round < ROUNDS; round++) {
    const reached: (Position | undefined)[] = [];
    for (const { plan, consumer } of consumers) {
      await askForARetry(all, store, plan.name);
      const result = await consume(store, consumer, { fetchSize: dice.between(1, 8), leaseMs: 1_000 });
      world.scheduler.note(process, `${plan.name}: ${result.kind}`);
      checkResult(world, plan, result);
      const done = result.kind === "caught-up" && (await store.deadLetters.count(plan.name)) === 0;
      reached.push(done ? result.position : undefined);
    }
    // Sagas append as well, and whatever they have asked to be woken at is due now: they may need another round.
    world.leap(10_000);
    const head = await store.head();
    const awake = await Promise.all(plans.map(async ({ name }) => (await store.deadlines.due(name, 1)).length === 0));
    if (round > 0 && awake.every(Boolean) && reached.every((position) => position === head)) return;
  }
  referee.violation(`stuck: after ${ROUNDS} rounds without failures there is something left to consume`);
}

const ROUNDS = 100;

/** Of all letters, or of one that failed: what only waits has to be set free without being asked for. */
async function askForARetry(all: boolean, store: Store<MemoryTransaction>, consumer: string): Promise<void> {
  if (all) {
    await store.deadLetters.retry(consumer, "all");
    return;
  }
  for await (const letter of store.deadLetters.list(consumer)) {
    if (letter.cause === undefined) continue;
    await store.deadLetters.retry(consumer, letter.event.position);
    return;
  }
}

/** A consumer stops for what its handlers throw, or because no more may be parked: never for the engine's own sake. */
function checkResult({ referee }: World, { name, failure }: Plan, result: ConsumeResult): void {
  if (result.kind !== "stopped") return;
  const { error } = result;
  const poisoned = error instanceof Error && error.message.endsWith("is poisoned");
  const full =
    isTidemarkError(error, "DEAD_LETTERS_FULL") && (failure.maxParked ?? failure.maxParkedPerSequence) !== undefined;
  if (!poisoned && !full) referee.violation(`${name} stopped at ${textOf(error)}`);
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

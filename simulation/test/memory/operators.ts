import type { MemoryTransaction } from "@tidemark/adapter-memory";
import { isTransient, type Position, type Store } from "@tidemark/core";
import { pause, type World } from "./world.ts";

/** Looks after the consumers, at random. */
export async function operate(world: World, store: Store<MemoryTransaction>): Promise<void> {
  const { dice } = world;
  while (!world.resting) {
    await pause(dice.between(10, 150));
    try {
      await act(world, store, dice.pick(world.plans).name);
    } catch (error) {
      if (!isTransient(error)) throw error;
    }
  }
}

async function act(world: World, store: Store<MemoryTransaction>, consumer: string): Promise<void> {
  const { dice } = world;
  const letters: Position[] = [];
  for await (const letter of store.deadLetters.list(consumer)) letters.push(letter.event.position);
  const which = letters.length === 0 || dice.chance(0.3) ? "all" : dice.pick(letters);
  const what = dice.pick(world.cancels ? [...ACTIONS, "cancel" as const] : ACTIONS);
  world.scheduler.note(world.scheduler.current, `${what} ${which} of ${consumer}`);
  switch (what) {
    case "retry":
    case "remove":
    case "cancel":
      await store.deadLetters[what](consumer, which);
      return;
    case "disable":
    case "enable":
      await store.consumers[what](consumer);
      return;
    case "mend":
      world.poison.mendOne();
  }
}

const ACTIONS = ["retry", "retry", "retry", "remove", "disable", "enable", "enable", "mend"] as const;

import type { MemoryTransaction } from "@tidemark/adapter-memory";
import { type ErrorCode, isTidemarkError, isTransient, type Store } from "@tidemark/core";
import { pause } from "../memory/world.ts";
import { promoteWhenEqual } from "@tidemark/worker";
import type { Plan } from "./plan.ts";
import type { World } from "./world.ts";

/** Changes layouts and versions, at random. */
export async function operate(world: World, store: Store<MemoryTransaction>): Promise<void> {
  const { dice } = world;
  while (!world.resting) {
    await pause(dice.between(5, 150));
    try {
      await act(world, store, dice.pick(world.plans));
    } catch (error) {
      if (!isTransient(error) && !REFUSALS.some((code) => isTidemarkError(error, code))) throw error;
    }
  }
}

const REFUSALS: readonly ErrorCode[] = ["RESEGMENTING", "PROMOTION_REFUSED", "WAIT_TIMEOUT", "CONSUMER_UNKNOWN"];

async function act(world: World, store: Store<MemoryTransaction>, plan: Plan): Promise<void> {
  const { dice, scheduler } = world;
  const { name, kind } = plan;
  const version = dice.between(1, plan.versions);
  const key = { name, version };
  const what = dice.pick(kind === "saga" ? ANYWHERE : [...ANYWHERE, ...WITH_SEGMENTS]);
  scheduler.note(scheduler.current, `${what} ${name}, version ${version}`);
  switch (what) {
    case "retry":
      await store.deadLetters.retry(key, "all");
      return;
    case "disable":
    case "enable":
      await store.consumers[what](key);
      return;
    case "mend":
      world.poison.mendOne();
      return;
    case "resegment":
      await store.consumers.resegment(key, dice.pick([1, 2, 4, 8]));
      return;
    case "cancel":
      await store.consumers.cancelResegment(key);
      return;
    case "finish":
      await store.consumers.finishResegment(key);
      return;
    case "rebuild":
      plan.versions = 2;
      return;
    case "promote":
    case "promote when equal":
      await promote(world, store, name, what === "promote");
  }
}

const ANYWHERE = ["retry", "disable", "enable", "enable", "mend"] as const;
const WITH_SEGMENTS = [
  "resegment",
  "resegment",
  "cancel",
  "finish",
  "rebuild",
  "rebuild",
  "promote",
  "promote",
  "promote when equal",
  "promote when equal",
] as const;

/** The other version in the place of the one in force, also back again. */
async function promote({ dice }: World, store: Store<MemoryTransaction>, name: string, atOnce: boolean): Promise<void> {
  const [first, second] = await store.consumers.look([
    { name, version: 1 },
    { name, version: 2 },
  ]);
  if (first === undefined || second === undefined) return;
  const [from, to] = first.active ? [first, second] : [second, first];
  const versions = { from: from.version, to: to.version };
  if (from.segments.length !== to.segments.length)
    return store.consumers.resegment({ name, version: to.version }, from.segments.length);
  if (!to.enabled) await store.consumers.enable({ name, version: to.version });
  if (atOnce) return store.consumers.promote(name, versions);
  const controller = new AbortController();
  const late = setTimeout(() => controller.abort(), 1_500);
  try {
    const options = { nearBy: dice.between(0, 10), pauseMs: dice.between(50, 600), signal: controller.signal };
    await promoteWhenEqual(store, name, { ...versions, ...options });
  } catch (error) {
    if (!isTidemarkError(error, "ABORTED")) throw error;
  } finally {
    clearTimeout(late);
  }
}

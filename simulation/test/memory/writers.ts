import type { MemoryTransaction } from "@tidemark/adapter-memory";
import { type AppendRequest, isTidemarkError, type Store } from "@tidemark/core";
import { type Attempt, pause, type SimulatedWorld } from "./world.ts";

class RolledBack extends Error {}

/** Appends at random until the world has enough events. */
export async function write(world: SimulatedWorld, store: Store<MemoryTransaction>): Promise<void> {
  const { dice } = world;
  while (!world.resting && world.attempts.length < world.appends) {
    await pause(dice.between(0, dice.pick([2, 100])));
    const requests = someRequests(world);
    const attempt: Attempt = {
      ids: requests.flatMap((request) => request.events.map(({ id }) => id ?? "")),
      outcome: "unknown",
    };
    world.attempts.push(attempt);
    const append = dice.chance(0.4) ? inTransaction(world, dice.chance(0.3)) : directly;
    for (let tries = dice.between(1, 4); tries > 0 && attempt.outcome === "unknown"; tries--) {
      attempt.outcome = await append(store, requests);
    }
  }
}

type Append = (store: Store<MemoryTransaction>, requests: readonly AppendRequest[]) => Promise<Attempt["outcome"]>;

const directly: Append = async (store, requests) => {
  try {
    await store.appendAll(requests);
    return "committed";
  } catch (error) {
    return told(error);
  }
};

function inTransaction({ dice }: SimulatedWorld, rollsBack: boolean): Append {
  return async (store, requests) => {
    const retry = dice.pick(["never", "transient"] as const);
    try {
      await store.transaction(
        async (_tx, inside) => {
          for (const request of requests) await inside.append(request);
          await pause(dice.between(0, 30));
          if (rollsBack) throw new RolledBack();
        },
        { retry },
      );
      return "committed";
    } catch (error) {
      return told(error);
    }
  };
}

function told(error: unknown): Attempt["outcome"] {
  return isTidemarkError(error, "UNAVAILABLE") ? "unknown" : "nothing";
}

function someRequests(world: SimulatedWorld): readonly AppendRequest[] {
  const { dice } = world;
  const count = dice.chance(0.3) ? 2 : 1;
  const first = dice.between(1, AGGREGATES);
  return Array.from({ length: count }, (_, index): AppendRequest => {
    const events = Array.from({ length: dice.between(1, 4) }, () => {
      const group = dice.between(1, 4);
      const type = dice.pick(["opened", "moved", "moved", "moved", "closed", "paired"]);
      world.lastId += 1;
      return { id: `event-${world.lastId}`, type, data: { group: `group ${group}`, pair: `pair ${group % 2}` } };
    });
    const expected = dice.pick(["any", "any", "exists", "none", dice.between(0, 6)] as const);
    return { aggregate: { type: "account", id: String(((first + index) % AGGREGATES) + 1) }, events, expected };
  });
}

const AGGREGATES = 5;

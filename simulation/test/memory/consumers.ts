import type { MemoryTransaction } from "@tidemark/adapter-memory";
import {
  type AnyConsumer,
  defineObserver,
  defineProjector,
  type FailurePolicy,
  type RecordedEvent,
  type TransactionalContext,
} from "@tidemark/core";
import type { Dice } from "./dice.ts";
import { aggregateLabel, effectsOf, type Plan } from "./plan.ts";
import { makeSaga } from "./sagas.ts";
import type { Process } from "./scheduler.ts";
import type { World } from "./world.ts";

/** Some random consumers, of all kinds. */
export function planConsumers(world: World): readonly Plan[] {
  const { dice } = world;
  const count = dice.between(1, 4);
  return Array.from({ length: count }, (_, index): Plan => {
    const kind = dice.pick(["projector", "observer", "saga"] as const);
    const claims = kind === "observer" && dice.chance(0.4);
    const name = `${kind}-${index}${claims ? "-claiming" : ""}`;
    const failure = planFailure(dice);
    if (kind === "saga") {
      const scope = (event: Pick<RecordedEvent, "type">): boolean => event.type !== "opened" && event.type !== "echoed";
      const concerns = (event: Pick<RecordedEvent, "type">): boolean => event.type === "moved";
      const start = pickStart(dice);
      const make = (process: Process): AnyConsumer<MemoryTransaction> =>
        makeSaga(world, process, { name, failure, start });
      return { name, kind, claims, failure, inScope: scope, concerns, make };
    }
    const types = dice.chance(0.5)
      ? undefined
      : dice.pick([["moved"], ["opened", "closed"], ["echoed", "moved", "paired"]]);
    const inScope = (event: Pick<RecordedEvent, "type">): boolean => types === undefined || types.includes(event.type);
    const part: Part = { world, name, failure, types, start: pickStart(dice) };
    const make = kind === "projector" ? projectors(part) : observers(part, claims);
    const plan: Plan = {
      name,
      kind,
      claims,
      failure,
      inScope,
      concerns: () => true,
      make: (process) => make(process, plan),
    };
    return plan;
  });
}

interface Part {
  readonly world: World;
  readonly name: string;
  readonly failure: FailurePolicy;
  readonly types: readonly string[] | undefined;
  readonly start: "beginning" | "head";
}

type Make = (process: Process, plan: Plan) => AnyConsumer<MemoryTransaction>;

function projectors({ world, name, failure, types, start }: Part): Make {
  const { dice } = world;
  const inBatches = dice.chance(0.4);
  const scope = { eventTypes: types };
  return (process) => {
    const apply = async (event: RecordedEvent, { tx }: TransactionalContext<MemoryTransaction>): Promise<void> => {
      await world.handlerStep(process, name, event);
      const label = aggregateLabel(event);
      const add = (row: readonly bigint[] = []): readonly bigint[] => [...row, event.position];
      await tx.table<readonly bigint[]>(effectsOf(name)).update(label, add);
      await world.handlerStep(process, name, event);
    };
    if (!inBatches) return defineProjector<MemoryTransaction>({ name, failure, start, scope, handle: apply });
    const handleBatch = async (
      events: readonly RecordedEvent[],
      context: TransactionalContext<MemoryTransaction>,
    ): Promise<void> => {
      for (const event of events) await apply(event, context);
    };
    return defineProjector<MemoryTransaction>({ name, failure, start, scope, handleBatch });
  };
}

function observers({ world, name, failure, types, start }: Part, claims: boolean): Make {
  const { dice } = world;
  const concurrency = dice.pick([1, 2, 3, 8]);
  const maxInFlight = dice.pick([1, 4, 20]);
  const claimMs = dice.between(50, 400);
  const slowness = dice.pick([1, 3, 15]);
  const dedupe = claims ? "claim" : "none";
  return (process, plan) => {
    const handle = async (event: RecordedEvent): Promise<void> => {
      await world.referee.observerBegins(process, plan, event);
      for (let left = dice.between(0, slowness); left > 0; left--)
        await world.scheduler.turn(process, `${name} handles ${event.position}`);
      world.poison.strike(name, event.position);
      world.referee.observerIsThrough(plan, event);
      if (dice.chance(0.3)) await world.scheduler.turn(process, `${name} has handled ${event.position}`);
    };
    const scope = { eventTypes: types };
    return defineObserver({ name, failure, start, scope, concurrency, maxInFlight, claimMs, dedupe, handle });
  };
}

function planFailure(dice: Dice): Plan["failure"] {
  return {
    attempts: dice.between(1, 3),
    then: dice.pick(["park", "park", "park", "stop", "skip"]),
    minDelayMs: 1,
    maxDelayMs: dice.between(1, 30),
    ...(dice.chance(0.15) && { maxParked: dice.between(1, 3) }),
    ...(dice.chance(0.15) && { maxParkedPerSequence: dice.between(1, 2) }),
  };
}

function pickStart(dice: Dice): "beginning" | "head" {
  return dice.chance(0.8) ? "beginning" : "head";
}

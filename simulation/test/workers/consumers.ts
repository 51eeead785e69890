import type { MemoryTransaction } from "@tidemark/adapter-memory";
import { defineObserver, defineProjector, type RecordedEvent, type TransactionalContext } from "@tidemark/core";
import type { Dice } from "../memory/dice.ts";
import { aggregateLabel, effectsOf } from "../memory/plan.ts";
import { makeSaga } from "../memory/sagas.ts";
import { type Effect, labelOf, type Plan } from "./plan.ts";
import type { World } from "./world.ts";

/** Some random consumers, of all kinds. */
export function planConsumers(world: World): readonly Plan[] {
  const { dice } = world;
  return Array.from({ length: dice.between(1, 3) }, (_, index): Plan => {
    const kind = dice.pick(["projector", "projector", "observer", "saga"] as const);
    const name = `${kind}-${index}`;
    if (kind === "saga") return planSaga(world, name);
    const types = dice.chance(0.6) ? undefined : dice.pick([["moved"], ["opened", "closed", "echoed"]]);
    const part: Part = { world, name, types, failure: planFailure(dice) };
    return {
      name,
      kind,
      failure: part.failure,
      segments: dice.pick([1, 2, 4]),
      inScope: ({ type }) => types === undefined || types.includes(type),
      concerns: () => true,
      make: kind === "projector" ? projectors(part) : observers(part, (): Plan => planned(world, name)),
      versions: 1,
    };
  });
}

interface Part {
  readonly world: World;
  readonly name: string;
  readonly types: readonly string[] | undefined;
  readonly failure: Plan["failure"];
}

function planSaga(world: World, name: string): Plan {
  const failure = planFailure(world.dice);
  return {
    name,
    kind: "saga",
    failure,
    segments: 1,
    inScope: ({ type }) => type !== "opened" && type !== "echoed",
    concerns: ({ type }) => type === "moved",
    make: (process) => makeSaga(world, process, { name, failure, start: "beginning" }),
    versions: 1,
  };
}

function projectors({ world, name, types, failure }: Part): Plan["make"] {
  const inBatches = world.dice.chance(0.3);
  return (process, version, segments) => {
    const label = labelOf(name, version);
    const spec = { name, version, segments, failure, start: "beginning", scope: { eventTypes: types } } as const;
    const apply = async (event: RecordedEvent, context: TransactionalContext<MemoryTransaction>): Promise<void> => {
      await world.handlerStep(process, label, event);
      const { position } = event;
      const table = context.tx.table<readonly Effect[]>(effectsOf(label));
      await table.update(aggregateLabel(event), (row = []) => [...row, { position, live: context.live }]);
      await world.handlerStep(process, label, event);
    };
    if (!inBatches) return defineProjector<MemoryTransaction>({ ...spec, handle: apply });
    return defineProjector<MemoryTransaction>({
      ...spec,
      handleBatch: async (events: readonly RecordedEvent[], context: TransactionalContext<MemoryTransaction>) => {
        for (const event of events) await apply(event, context);
      },
    });
  };
}

function observers({ world, name, types, failure }: Part, plan: () => Plan): Plan["make"] {
  const { dice, referee, scheduler } = world;
  const concurrency = dice.pick([1, 2, 8]);
  const maxInFlight = dice.pick([4, 20]);
  const slowness = dice.pick([1, 3, 15]);
  return (process, version, segments) => {
    const label = labelOf(name, version);
    const handle = async (event: RecordedEvent): Promise<void> => {
      await referee.observerBegins(process, plan(), version, event);
      for (let left = dice.between(0, slowness); left > 0; left--)
        await scheduler.turn(process, `${label} handles ${event.position}`);
      world.poison.strike(label, event.position);
      referee.observed.add(`${label}/${event.position}`);
      if (dice.chance(0.3)) await scheduler.turn(process, `${label} has handled ${event.position}`);
    };
    const scope = { eventTypes: types };
    return defineObserver({
      name,
      version,
      segments,
      failure,
      start: "beginning",
      scope,
      concurrency,
      maxInFlight,
      handle,
    });
  };
}

function planned({ plans }: World, name: string): Plan {
  const plan = plans.find((one) => one.name === name);
  if (plan === undefined) throw new RangeError(`${name} is not planned.`);
  return plan;
}

/** Nothing may be skipped: in the end every event has to have its effect. */
function planFailure(dice: Dice): Plan["failure"] {
  return {
    attempts: dice.between(1, 3),
    then: dice.pick(["park", "park", "park", "stop"]),
    minDelayMs: 1,
    maxDelayMs: dice.between(1, 30),
  };
}

import type { MemoryTransaction } from "@tidemark/adapter-memory";
import {
  type Deadline,
  defineSaga,
  type FailurePolicy,
  type RecordedEvent,
  type SagaConsumer,
  type SagaContext,
  type SagaHandling,
  type SagaState,
} from "@tidemark/core";
import { dataOf, effectsOf } from "./plan.ts";
import type { Process } from "./scheduler.ts";
import type { Witness } from "./witness.ts";
import type { Referee } from "./referee.ts";
import type { SimulatedWorld } from "./world.ts";

/** What a saga remembers: the same as its effects say, because both are written together. */
export interface SagaData {
  readonly applied: readonly string[];
  readonly woken: number;
}

/** What a saga has done, in a table of the user's. */
export interface SagaEffects {
  readonly applied: readonly string[];
  readonly woken: number;
  readonly ended: boolean;
}

interface SagaWorld extends SimulatedWorld {
  readonly referee: Witness & Pick<Referee, "letters">;
}

interface SagaPart {
  readonly name: string;
  readonly failure: FailurePolicy;
  readonly start: "beginning" | "head";
}

type Handling = SagaHandling<MemoryTransaction, SagaData, RecordedEvent>;
type State = SagaState<SagaData>;

/**
 * "moved" starts a saga for its group or moves it on, "closed" ends it, "paired" goes to all sagas of a pair of groups.
 * Each saga appends an event for each event that it gets, and asks once to be woken.
 */
export function makeSaga(
  world: SagaWorld,
  process: Process,
  { name, failure, start }: SagaPart,
): SagaConsumer<MemoryTransaction> {
  async function apply(
    event: RecordedEvent,
    state: State | undefined,
    context: SagaContext<MemoryTransaction>,
  ): Promise<State> {
    const { sagaId, tx } = context;
    const position = String(event.position);
    if (state !== undefined) await refuseToOvertake(event, sagaId);
    try {
      await world.handlerStep(process, name, event);
      const ended = event.type === "closed";
      await tx.table<SagaEffects>(effectsOf(name)).update(sagaId, ({ applied, woken } = NOTHING) => ({
        applied: [...applied, position],
        woken,
        ended,
      }));
      context.append({
        aggregate: { type: "echo", id: name },
        events: [{ type: "echoed", data: { position, sagaId } }],
      });
      if (state === undefined) context.schedule("wake", new Date(world.clock() + world.dice.between(1, 800)), {});
      await world.handlerStep(process, name, event);
      const { group, pair } = dataOf(event);
      const associations = state?.associations ?? { group, pair };
      const data = { applied: [...(state?.data.applied ?? []), position], woken: state?.data.woken ?? 0 };
      return { associations, data, ended };
    } catch (error) {
      if (state !== undefined) failedOn(sagaId).add(event.position);
      throw error;
    }
  }

  async function wake(
    _deadline: Deadline,
    state: State | undefined,
    { sagaId, tx }: SagaContext<MemoryTransaction>,
  ): Promise<State> {
    if (state === undefined) throw new TypeError("Only a saga that is there is woken.");
    world.poison.strike(name, `wake ${sagaId}`);
    await tx.table<SagaEffects>(effectsOf(name)).update(sagaId, (row = NOTHING) => ({ ...row, woken: row.woken + 1 }));
    world.poison.strike(name, `wake ${sagaId}`);
    return { ...state, data: { ...state.data, woken: state.data.woken + 1 } };
  }

  function failedOn(sagaId: string): Set<bigint> {
    const id = `${name}/${sagaId}`;
    const known = world.failedOnSaga.get(id) ?? new Set();
    world.failedOnSaga.set(id, known);
    return known;
  }

  /** While an event that failed on a saga is parked, no later one may reach that saga, whatever it was found by. */
  async function refuseToOvertake(event: RecordedEvent, sagaId: string): Promise<void> {
    const failed = failedOn(sagaId);
    if (failed.size === 0) return;
    for (const { position } of await world.referee.letters({ name, version: 1 })) {
      if (position >= event.position || !failed.has(position)) continue;
      world.referee.violation(
        `park/saga-other-association: ${name} gives ${event.position} to a saga whose ${position} is parked`,
      );
    }
  }

  const by = (property: "group" | "pair", starts = false): Handling => ({
    association: { property, value: (event) => dataOf(event)[property] },
    starts,
    handle: apply,
  });
  return defineSaga<MemoryTransaction, SagaData>({
    name,
    failure,
    start,
    handlers: { moved: by("group", true), closed: by("group"), paired: by("pair") },
    deadlines: { wake },
  });
}

const NOTHING: SagaEffects = { applied: [], woken: 0, ended: false };

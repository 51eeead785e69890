import type { Association } from "../adapter/sagas.ts";
import { TidemarkError } from "../errors.ts";
import type { RecordedEvent } from "../event.ts";
import type { FlakeGenerator } from "../values/flake.ts";
import type { TransactionalContext } from "./definition.ts";
import type { Projector } from "./projector.ts";
import type { Deadline, FencedRecords, Saga } from "./records.ts";
import type {
  FoundSaga,
  FreeSagaHandler,
  SagaConsumer,
  SagaContext,
  SagaHandler,
  SagaHandling,
  SagaState,
} from "./saga.ts";
import { aggregateSequence, associationSequence, sagaSequence } from "./sequences.ts";

/** What a transactional consumer does with an event, whatever its kind. */
export interface Work<Tx> {
  readonly consumer: Projector<Tx> | SagaConsumer<Tx>;
  /** The sequences that the event says itself that it belongs to. */
  sequences(event: RecordedEvent): readonly string[];
  /** Those that only the records tell. */
  moreSequences(event: RecordedEvent, records: FencedRecords): Promise<readonly string[]>;
  /** Handles all events, or one at a time where `batch` is absent. */
  readonly batch?: (events: readonly RecordedEvent[], context: TransactionalContext<Tx>) => unknown;
  each(event: RecordedEvent, context: TransactionalContext<Tx>, records: FencedRecords): Promise<void>;
  /** Wakes the saga of a deadline, and takes the deadline away. Absent for consumers without deadlines. */
  readonly wake?: (deadline: Deadline, context: TransactionalContext<Tx>, records: FencedRecords) => Promise<void>;
}

export function workOf<Tx>(consumer: Projector<Tx> | SagaConsumer<Tx>, mintId: FlakeGenerator): Work<Tx> {
  return consumer.kind === "projector" ? projectorWork(consumer) : sagaWork(consumer, mintId);
}

function projectorWork<Tx>(consumer: Projector<Tx>): Work<Tx> {
  const { handler } = consumer;
  return {
    consumer,
    sequences: (event) => [aggregateSequence(event.aggregate)],
    moreSequences: async () => [],
    ...(handler.kind === "batch" && { batch: (events, context) => handler.handle(events, context) }),
    each: async (event, context) => {
      await (handler.kind === "each" ? handler.handle(event, context) : handler.handle([event], context));
    },
  };
}

function sagaWork<Tx>(consumer: SagaConsumer<Tx>, mintId: FlakeGenerator): Work<Tx> {
  const { saga: name, handling, deadlines } = consumer;

  function handlingOf(event: RecordedEvent): SagaHandling<Tx, unknown, RecordedEvent> | undefined {
    return handling.kind === "by-type" ? handling.handlings.get(event.type) : undefined;
  }

  function associationOf(event: RecordedEvent): Association | undefined {
    const association = handlingOf(event)?.association;
    const value = association?.value(event);
    return association === undefined || value === undefined ? undefined : { property: association.property, value };
  }

  async function run<Event>(
    handle: SagaHandler<Tx, unknown, Event>,
    event: Event,
    saga: Saga | undefined,
    context: TransactionalContext<Tx>,
    records: FencedRecords,
  ): Promise<void> {
    const sagaId = saga?.id ?? mintId();
    const asked = new Map<string, { readonly dueAt: Date; readonly data: unknown } | undefined>();
    const sagaContext: SagaContext<Tx> = {
      ...context,
      sagaId,
      schedule: (deadline, dueAt, data) => void asked.set(deadline, { dueAt, data }),
      cancel: (deadline) => void asked.set(deadline, undefined),
    };
    const after = (await handle(event, saga && stateOf(saga), sagaContext)) ?? undefined;
    const lives = await keep(name, sagaId, saga, after, records);
    if (!lives) return;
    for (const [deadline, wish] of asked) {
      if (wish === undefined) await records.deadlines.remove(name, sagaId, deadline);
      else await records.deadlines.set(name, { sagaId, name: deadline, ...wish });
    }
  }

  async function freely(
    handle: FreeSagaHandler<Tx, unknown, RecordedEvent>,
    event: RecordedEvent,
    context: TransactionalContext<Tx>,
    records: FencedRecords,
  ): Promise<void> {
    let found: Saga | undefined;
    const find = async (property: string, value: string): Promise<FoundSaga<unknown>> => {
      [found] = await records.sagas.find(name, property, value);
      return { id: found?.id, version: found?.version, state: found && stateOf(found) };
    };
    const state = (await handle(event, find, context)) ?? undefined;
    await keep(name, found?.id ?? mintId(), found, state, records);
  }

  return {
    consumer,
    sequences: (event) => {
      if (handling.kind === "free") return [aggregateSequence(event.aggregate)];
      const association = associationOf(event);
      return association === undefined ? [] : [associationSequence(name, association)];
    },
    moreSequences: async (event, records) => {
      const association = associationOf(event);
      if (association === undefined) return [];
      const found = await records.sagas.find(name, association.property, association.value);
      return found.map((saga) => sagaSequence(name, saga.id));
    },
    each: async (event, context, records) => {
      if (handling.kind === "free") return freely(handling.handle, event, context, records);
      const [part, association] = [handlingOf(event), associationOf(event)];
      if (part === undefined || association === undefined) return;
      const found = await records.sagas.find(name, association.property, association.value);
      for (const saga of found) await run(part.handle, event, saga, context, records);
      if (found.length === 0 && part.starts === true) await run(part.handle, event, undefined, context, records);
    },
    ...(deadlines.size > 0 && {
      wake: async (deadline, context, records) => {
        await records.deadlines.remove(name, deadline.sagaId, deadline.name);
        const saga = await records.sagas.get(name, deadline.sagaId);
        const handle = deadlines.get(deadline.name);
        if (saga !== undefined && handle !== undefined) await run(handle, deadline, saga, context, records);
      },
    }),
  };
}

function stateOf({ associations, data }: Saga): SagaState<unknown> {
  return { associations, data };
}

/** Writes what a handler made of a saga. Whether there is a saga afterwards. */
export async function keep(
  name: string,
  id: string,
  saga: Saga | undefined,
  state: SagaState<unknown> | undefined,
  records: FencedRecords,
): Promise<boolean> {
  if (state === undefined) return saga !== undefined;
  const { associations, data, ended = false } = state;
  if (saga === undefined) {
    if (ended) return false;
    if (!(await records.sagas.insert(name, { id, associations, data }))) throw sagaConflict(name, id, 0);
    return true;
  }
  const { version } = saga;
  const done = ended
    ? await records.sagas.remove(name, id, version)
    : await records.sagas.update(name, { id, version, associations, data });
  if (!done) throw sagaConflict(name, id, version);
  return !ended;
}

function sagaConflict(saga: string, id: string, version: number): TidemarkError<"SAGA_CONFLICT"> {
  return new TidemarkError(
    "SAGA_CONFLICT",
    `Saga ${id} of ${saga} is not at version ${version}: somebody changed it since it was read. Nothing was written. ` +
      "Read it again and change what is there now.",
    { saga, id, version },
  );
}

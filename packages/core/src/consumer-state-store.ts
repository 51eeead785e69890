import type { ConsumerKind } from "./adapter/consumers.ts";
import type { Operation } from "./adapter/operation.ts";
import type { Serializer } from "./codec.ts";
import type { ConsumeOptions, ConsumeResult } from "./consumer/consume.ts";
import type { AnyConsumer } from "./consumer/run-in-zone.ts";
import type { ConsumerError, ConsumerState } from "./consumer/consumers.ts";
import type { Handler, HandlerContext, TransactionalContext } from "./consumer/definition.ts";
import type { FailurePolicy } from "./consumer/failure.ts";
import type { DeadLetter } from "./consumer/letters.ts";
import type { Observe } from "./consumer/observation.ts";
import { type Executor } from "./consumer/observer.ts";
import { type FoundSaga, type FreeSagaHandler, type SagaState } from "./consumer/saga.ts";
import type { RecordedEvent } from "./event.ts";
import type { EventSource, Store } from "./store/store.ts";
import type { Position } from "./values/position.ts";

import { StateStore } from "./consumer/state-store.ts";

export interface ConsumerStateStoreOptions {
  /** Where the events are. Default: the state store itself. Effect and checkpoint commit together in the state store. */
  readonly log?: EventSource | undefined;
  /** Maps saga states to JSON and back (the object mapper). Default: as they are. */
  readonly serializer?: Serializer | undefined;
  /** Runs observers' handlers. Default: at once, in this process. */
  readonly executor?: Executor | undefined;
  /** Called once for each event that a consumer is through with (the performance service). */
  readonly observe?: Observe | undefined;
  /** What happens to an event that cannot be handled. Default: parked as a dead event, as in Evento. */
  readonly failure?: FailurePolicy | undefined;
  /** How long a zone stays ours without renewal. Default 30 000. */
  readonly leaseMs?: number | undefined;
}

export interface SagaWriteOptions extends Operation {
  /** The version that was read; another one is SAGA_CONFLICT. Default: whatever is stored. */
  readonly expectedVersion?: number | undefined;
  /** Whose zone the write is fenced by. Default: the only zone that this store has entered. */
  readonly consumerId?: string | undefined;
}

/**
 * Evento's `ConsumerStateStore`, by its method names, over any store. A `context` of `"*"` or undefined means all.
 * Consuming enters the consumer's zone by itself; writing by hand needs `enterExclusiveZone` first (ZONE_REQUIRED).
 */
export interface ConsumerStateStore<Tx> {
  /**
   * Each consumes one cycle: until caught up. Resolves with the number of events that were handled, -1 when somebody
   * else holds the zone. Rejects with the event's error when the failure policy is `"stop"`.
   */
  consumeEventsForProjector(
    consumerId: string,
    projectorName: string,
    context: string | undefined,
    handler: Handler<TransactionalContext<Tx>, RecordedEvent>,
    fetchSize?: number,
  ): Promise<number>;
  consumeEventsForObserver(
    consumerId: string,
    observerName: string,
    context: string | undefined,
    handler: Handler<HandlerContext, RecordedEvent>,
    fetchSize?: number,
  ): Promise<number>;
  consumeEventsForSaga<Data>(
    consumerId: string,
    sagaName: string,
    context: string | undefined,
    handler: FreeSagaHandler<Tx, Data, RecordedEvent>,
    fetchSize?: number,
  ): Promise<number>;
  /** Each handles again the dead events that are marked for retry, the oldest first, and nothing else. */
  consumeDeadEventsForProjector(
    consumerId: string,
    projectorName: string,
    handler: Handler<TransactionalContext<Tx>, RecordedEvent>,
  ): Promise<number>;
  consumeDeadEventsForObserver(
    consumerId: string,
    observerName: string,
    handler: Handler<HandlerContext, RecordedEvent>,
  ): Promise<number>;
  consumeDeadEventsForSaga<Data>(
    consumerId: string,
    sagaName: string,
    handler: FreeSagaHandler<Tx, Data, RecordedEvent>,
  ): Promise<number>;
  /** Any consumer, defined or plain, through the same engine. */
  consume(consumer: AnyConsumer<Tx>, options?: ConsumeOptions): Promise<ConsumeResult>;

  /** False when it is taken, also by ourselves. A consumer that is not declared is declared, by default as a projector. */
  enterExclusiveZone(consumerId: string, kind?: ConsumerKind): Promise<boolean>;
  /** Does nothing when it is not ours. */
  leaveExclusiveZone(consumerId: string): Promise<void>;
  /** The checkpoint; undefined when none was ever committed. For observers and sagas their first start commits the head. */
  getLastEventSequenceNumber(consumerId: string): Promise<Position | undefined>;
  /** The checkpoint; for a consumer that is not there yet the head, which becomes its checkpoint. */
  getLastEventSequenceNumberSagaOrHead(consumerId: string, kind?: "saga" | "observer"): Promise<Position>;
  /** Moves the checkpoint forward and clears the error state. Needs the zone. */
  setLastEventSequenceNumber(consumerId: string, position: Position): Promise<void>;

  /** The first saga, by id, that has the association. */
  getSagaState<Data>(sagaName: string, property: string, value: string): Promise<FoundSaga<Data>>;
  /** Inserts without id, else updates; `ended` removes. Resolves with the id. Needs a zone. */
  setSagaState<Data>(
    sagaId: string | undefined,
    sagaName: string,
    state: SagaState<Data>,
    options?: SagaWriteOptions,
  ): Promise<string>;
  /** Does nothing for a saga that is not there. Needs a zone. */
  removeSagaState(sagaId: string, sagaName: string, options?: SagaWriteOptions): Promise<void>;

  isEnabled(consumerId: string): Promise<boolean>;
  setEnabled(consumerId: string, enabled: boolean): Promise<void>;
  setLastError(consumerId: string, error: unknown): Promise<void>;
  /** Undefined while healthy. */
  getErrorState(consumerId: string): Promise<ConsumerError | undefined>;

  getDeadEvents(consumerId: string): AsyncIterable<DeadLetter>;
  /** Marks a dead event for retry, or takes the mark off. Does nothing for one that is not there. */
  setRetryDeadEvent(consumerId: string, position: Position, retry: boolean): Promise<void>;
  /** Asks to forget a dead event; what waits behind it goes on. Carried out by the next cycle. */
  removeDeadEvent(consumerId: string, position: Position): Promise<void>;

  /** True exactly once until `release`, or until the claim was not completed in time. */
  tryClaim(consumerId: string, eventId: string): Promise<boolean>;
  completeClaim(consumerId: string, eventId: string): Promise<void>;
  release(consumerId: string, eventId: string): Promise<void>;
  /** Forgets completed claims strictly older than `time`. How many there were. */
  sweepBefore(consumerId: string, time: Date): Promise<number>;

  listConsumers(): AsyncIterable<ConsumerState>;
  delete(consumerId: string): Promise<void>;
  /** Leaves all zones that this store has entered. The store beneath stays open. */
  close(): Promise<void>;
}

export function createConsumerStateStore<Tx>(
  state: Store<Tx>,
  options: ConsumerStateStoreOptions = {},
): ConsumerStateStore<Tx> {
  return new StateStore(state, options);
}

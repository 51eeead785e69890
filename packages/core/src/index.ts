export type { ActorInput, ActorInspection, ActorStore, ActorStoreOptions, ActorStores } from "./actor/actor-store.ts";
export type { Anomaly, OnAnomaly } from "./actor/anomaly.ts";
export type {
  EventStore,
  EventStoreOptions,
  EventStores,
  EventStream,
  EventStreamOptions,
  StoredEvents,
} from "./actor/event-store.ts";
export { heal, type Healing, type HealingSources, type HealOptions } from "./actor/healing.ts";
export type { Identities } from "./actor/identities.ts";
export type { ActorEvent, PackInput } from "./actor/pack.ts";
export type { ActorState, Snapshot } from "./actor/snapshot.ts";
export type { SnapshotLink } from "./adapter/snapshots.ts";
export type { Capabilities } from "./adapter/capabilities.ts";
export type { ConsumerKey, ConsumerKind, Layout } from "./adapter/consumers.ts";
export type { Operation } from "./adapter/operation.ts";
export type { Codec, CodecSubject, Serializer } from "./codec.ts";
export type { ClaimOutcome } from "./adapter/claims.ts";
export type { LetterRequest } from "./adapter/dead-letters.ts";
export type { ClaimOptions, Claims } from "./consumer/claims.ts";
export {
  type ConsumerStateStore,
  type ConsumerStateStoreOptions,
  createConsumerStateStore,
  type SagaWriteOptions,
} from "./consumer-state-store.ts";
export { consume, type ConsumeOptions, type ConsumeResult } from "./consumer/consume.ts";
export {
  type AnyConsumer,
  defineConsumer,
  runInZone,
  type RunOptions,
  type RunResult,
} from "./consumer/run-in-zone.ts";
export type { ReadPage } from "./consumer/outlook.ts";
export type { Layouts, ResegmentOptions } from "./consumer/layouts.ts";
export type { MeetOptions, Members } from "./consumer/members.ts";
export type { Versions } from "./consumer/versions.ts";
export type {
  ConsumerError,
  Consumers,
  ConsumerSegment,
  ConsumerSight,
  ConsumerState,
  DeclareOptions,
  LookInput,
  LookOptions,
  StartRule,
} from "./consumer/consumers.ts";
export type {
  ConsumerSpec,
  EventMap,
  DefinedConsumer,
  EventOf,
  Handler,
  HandlerContext,
  Handlers,
  Segmented,
  TransactionalContext,
} from "./consumer/definition.ts";
export type { FailurePolicy } from "./consumer/failure.ts";
export type { DeadLetter, DeadLetters, LetterCause, LetterFilter } from "./consumer/letters.ts";
export type { Observation, Observe } from "./consumer/observation.ts";
export { defineObserver, type Executor, type Observer, type ObserverSpec } from "./consumer/observer.ts";
export {
  type BatchHandler,
  type Consumer,
  defineProjector,
  type Projector,
  type ProjectorSpec,
  type ScopedConsumer,
} from "./consumer/projector.ts";
export type { Deadline, Deadlines, FencedRecords, Saga, Sagas } from "./consumer/records.ts";
export {
  defineSaga,
  type FoundSaga,
  type FreeSagaHandler,
  type SagaConsumer,
  type SagaContext,
  type SagaHandler,
  type SagaHandling,
  type SagaSpec,
  type SagaState,
} from "./consumer/saga.ts";
export type { WaitForOptions } from "./consumer/wait-for.ts";
export type { ConsumerInput } from "./consumer/name.ts";
export type { EnterOptions, FencedTransaction, Zone } from "./consumer/zone.ts";
export {
  type ErrorCode,
  type ErrorDetails,
  isTidemarkError,
  isTransient,
  TidemarkError,
  TransientError,
} from "./errors.ts";
export type {
  AppendRequest,
  AppendResult,
  EventInput,
  EventMetadata,
  Expected,
  RecordedEvent,
  Scope,
} from "./event.ts";
export { openStore } from "./store/open-store.ts";
export type { GroupCommitOptions, PollOptions, RetryOptions, StoreOptions } from "./store/options.ts";
export type {
  EventSource,
  FrontierHolder,
  Page,
  ReadAggregateOptions,
  ReadAllOptions,
  Store,
  StoreInTransaction,
  TransactionOptions,
  WaitOptions,
} from "./store/store.ts";
export {
  type AggregateInput,
  type AggregateRef,
  BUCKETS,
  bucketOf,
  DEFAULT_CONTEXT,
  segmentOf,
} from "./values/aggregate.ts";
export { createFlakeGenerator, type FlakeGenerator, type FlakeOptions, flakeTime } from "./values/flake.ts";
export { type Limits, LIMITS } from "./values/limits.ts";
export * as vectorClock from "./values/vector-clock.ts";
export type { VectorClock, VectorInput, VectorOrder } from "./values/vector-clock.ts";
export { formatPosition, parsePosition, type Position, START, toPosition } from "./values/position.ts";

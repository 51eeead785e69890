export type { Capabilities } from "./adapter/capabilities.ts";
export type { ConsumerKey, ConsumerKind } from "./adapter/consumers.ts";
export type { Operation } from "./adapter/operation.ts";
export type { CodecSubject, Serializer } from "./codec.ts";
export { consume, type ConsumeOptions, type ConsumeResult } from "./consumer/consume.ts";
export type {
  ConsumerError,
  Consumers,
  ConsumerSegment,
  ConsumerState,
  DeclareOptions,
  StartRule,
} from "./consumer/consumers.ts";
export {
  type BatchHandler,
  defineProjector,
  type EventMap,
  type EventOf,
  type FailurePolicy,
  type Handler,
  type HandlerContext,
  type Projector,
  type ProjectorSpec,
} from "./consumer/definition.ts";
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
export { formatPosition, parsePosition, type Position, START, toPosition } from "./values/position.ts";

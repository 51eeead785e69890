/**
 * What an adapter implements and what helps it: for authors of adapters. Start at {@link Adapter}; read
 * `@tidemark/adapter-memory` beside it; run `@tidemark/conformance` until it is green.
 */
export { findSharedVector, inspectLinks, type LinkInspection, type Walk, walkChain } from "./actor/ancestry.ts";
export type { LinkAnomaly } from "./actor/anomaly.ts";
export { planSnapshot, type SnapshotPlan } from "./actor/plan-snapshot.ts";
export type { Adapter, OpenedLog, SegmentState, TransactionPort } from "./adapter/adapter.ts";
export type {
  AppendedPart,
  AppendOperation,
  AppendOutcome,
  AppendPart,
  AppendUnit,
  EventContent,
  EventRow,
  StoredEvent,
} from "./adapter/append.ts";
export type { Capabilities, Lending } from "./adapter/capabilities.ts";
export type { ClaimOutcome, ClaimRecords } from "./adapter/claims.ts";
export type { CompletionPort } from "./adapter/completions.ts";
export type {
  ConsumerDeclaration,
  ConsumerKey,
  ConsumerKind,
  ConsumerLook,
  ConsumerRecords,
  ConsumerRow,
  ErrorState,
  Fence,
  Layout,
  Looked,
  Promotion,
  SegmentKey,
  SegmentRow,
  ZoneEntry,
  ZoneRecords,
} from "./adapter/consumers.ts";
export type { FrontierHolderRow } from "./adapter/frontier.ts";
export type {
  LetterPort,
  LetterQuery,
  LetterRecords,
  LetterRequest,
  LetterRow,
  NewLetter,
} from "./adapter/dead-letters.ts";
export type { IdentityPort, IdentityReader } from "./adapter/identities.ts";
export type { MemberRecords } from "./adapter/members.ts";
export type { Operation } from "./adapter/operation.ts";
export { type BatchPlan, type BatchState, type KnownEvent, planBatch, type PlannedRow } from "./adapter/plan.ts";
export {
  type LayoutPlan,
  type LayoutRequestPlan,
  type NextGeneration,
  planLayout,
  planLayoutRequest,
} from "./adapter/plan-layout.ts";
export { planPromotion, type PromotionPlan } from "./adapter/plan-promotion.ts";
export type { PackPort } from "./adapter/packs.ts";
export type { AggregateQuery, EventIdQuery, LogPage, LogQuery, LogScope } from "./adapter/reads.ts";
export type {
  Association,
  DeadlinePort,
  DeadlineReader,
  DeadlineRow,
  SagaPort,
  SagaReader,
  SagaRow,
} from "./adapter/sagas.ts";
export type {
  ActorRef,
  SnapshotChange,
  SnapshotLink,
  SnapshotPort,
  SnapshotReader,
  SnapshotRow,
  SnapshotState,
} from "./adapter/snapshots.ts";
export { got } from "./store/requests.ts";
export { abortable, aborted, sleep, throwIfAborted } from "./store/timing.ts";
export { aggregateKey } from "./values/aggregate.ts";
export { compareBytes } from "./values/text.ts";

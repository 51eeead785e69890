export type { LogAttributes, Logger } from "./logger.ts";
export type { WorkerConsumer, WorkerOptions, WorkerPoll, WorkerRetry } from "./options.ts";
export { promoteWhenEqual, type PromotionOptions } from "./promotion.ts";
export type { ConsumerStatus, LogStatus, Phase, SegmentState, SegmentStatus, WorkerStatus } from "./status.ts";
export { traced, type TraceContext } from "./trace-context.ts";
export { createWorker, type Worker } from "./worker.ts";

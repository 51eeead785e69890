import { positive, resolveRetry } from "../store/options.ts";
import { invalid } from "../store/requests.ts";

/** What happens when a handler fails for a reason that is not transient. */
export interface FailurePolicy {
  /** How often an event's handler runs before `then` applies. Default 5. */
  readonly attempts?: number | undefined;
  readonly minDelayMs?: number | undefined;
  readonly maxDelayMs?: number | undefined;
  /**
   * `"stop"` keeps the checkpoint before the event. `"skip"` moves it past the event. `"park"` keeps the event as a dead
   * letter and goes on; later events of the same sequence wait behind it, in order.
   */
  readonly then?: "stop" | "skip" | "park" | undefined;
  /** One more dead letter than this in a sequence, and the consumer stops instead of parking it. Default 1 000. */
  readonly maxParkedPerSequence?: number | undefined;
  /** One more dead letter than this in all, and the consumer stops instead of parking it. Default 10 000. */
  readonly maxParked?: number | undefined;
}

export interface ResolvedFailurePolicy {
  readonly attempts: number;
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  readonly then: "stop" | "skip" | "park";
  readonly maxParkedPerSequence: number;
  readonly maxParked: number;
}

/** How a cycle waits out transient failures in a row, before it gives up with the last one. */
export const TRANSIENT_RETRY: Pick<ResolvedFailurePolicy, "attempts" | "minDelayMs" | "maxDelayMs"> = Object.freeze({
  attempts: 8,
  minDelayMs: 20,
  maxDelayMs: 2_000,
});

export function resolveFailure(policy: FailurePolicy = {}, byDefault: "stop" | "park"): ResolvedFailurePolicy {
  const then = policy.then ?? byDefault;
  if (then !== "stop" && then !== "skip" && then !== "park") {
    throw invalid("failure.then", 'failure.then is "stop", "skip" or "park".');
  }
  return {
    ...resolveRetry("failure", policy, { attempts: 5, minDelayMs: 100, maxDelayMs: 5_000 }),
    then,
    maxParkedPerSequence: positive("failure.maxParkedPerSequence", policy.maxParkedPerSequence ?? 1_000),
    maxParked: positive("failure.maxParked", policy.maxParked ?? 10_000),
  };
}

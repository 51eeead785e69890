import type { ClaimOutcome } from "../adapter/claims.ts";
import { isTransient } from "../errors.ts";
import type { RecordedEvent } from "../event.ts";
import type { EventSource, Store } from "../store/store.ts";
import { backoff, sleep } from "../store/timing.ts";
import { toPosition } from "../values/position.ts";
import type { HandlerContext } from "./definition.ts";
import { TRANSIENT_RETRY } from "./failure.ts";
import type { Executor, Observer } from "./observer.ts";
import { patiently } from "./patience.ts";

/** What became of one event in an observer's hands. */
export type RunOutcome =
  | { readonly kind: "handled"; readonly durationMs: number }
  /** It was completed before: by its claim. */
  | { readonly kind: "done-before" }
  | {
      readonly kind: "skipped" | "stopped";
      readonly error: unknown;
      readonly attempts: number;
      readonly durationMs: number;
    }
  /** `event` is the one to be parked, which no handler has touched. */
  | {
      readonly kind: "parked";
      readonly event: RecordedEvent;
      readonly error: unknown;
      readonly attempts: number;
      readonly durationMs: number;
    }
  /** The executor refused it; it never ran. */
  | { readonly kind: "rejected" }
  /** Asked to stop before it was done. */
  | { readonly kind: "interrupted" }
  /** A transient failure that lasted: nothing is decided about the event. */
  | { readonly kind: "failed"; readonly error: unknown };

export interface RunParts<Tx> {
  readonly store: Store<Tx>;
  readonly log: EventSource;
  readonly executor: Executor | undefined;
  readonly observer: Observer;
  /** Whose error state its failures are. */
  readonly segment: number;
  readonly context: HandlerContext;
  /** Tells our claims from those of others. */
  readonly owner: string;
  /** Fires when nothing more is to be begun. */
  readonly stop: AbortSignal;
}

const LONGEST_LOOK_AT_A_CLAIM_MS = 1_000;

/** Runs the handler until it succeeds or its failure policy applies; claims the event first where that is wanted. */
export async function runObserved<Tx>(event: RecordedEvent, parts: RunParts<Tx>): Promise<RunOutcome> {
  const { stop } = parts;
  try {
    return await (parts.observer.dedupe === "none" ? runToTheEnd(event, parts, stop) : runClaimed(event, parts, stop));
  } catch (error) {
    return stop.aborted ? { kind: "interrupted" } : { kind: "failed", error };
  }
}

async function runClaimed<Tx>(event: RecordedEvent, parts: RunParts<Tx>, stop: AbortSignal): Promise<RunOutcome> {
  const { store, log, observer, owner } = parts;
  const consumer = observer.key;
  const key = `${log.logId}:${event.position}`;
  for (let attempt = 1; ; attempt++) {
    const outcome = await claim(key, parts, stop);
    if (outcome === "done") return { kind: "done-before" };
    if (outcome === "claimed") break;
    // Whoever claimed it before us may still be at it: until it is completed or runs out.
    await sleep(backoff(attempt, { minDelayMs: 10, maxDelayMs: LONGEST_LOOK_AT_A_CLAIM_MS }), stop);
  }
  let done = false;
  try {
    const result = await runToTheEnd(event, parts, stop);
    done = result.kind === "handled" || result.kind === "skipped";
    // Also when asked to stop meanwhile: what is done would otherwise be done again.
    if (done) await patiently(() => store.claims.complete(consumer, key));
    return result;
  } finally {
    // Also when it was interrupted: whoever goes on shall not have to wait until the claim runs out.
    if (!done) await patiently(() => store.claims.release(consumer, key, owner), stop);
  }
}

function claim<Tx>(key: string, parts: RunParts<Tx>, stop: AbortSignal): Promise<ClaimOutcome> {
  const { store, observer, owner } = parts;
  let isUnsure = false;
  return patiently(async () => {
    // One whose acknowledgement was lost would stand in our own way until it runs out.
    if (isUnsure) await store.claims.release(observer.key, key, owner);
    isUnsure = true;
    return store.claims.claim(observer.key, key, { token: owner, ms: observer.claimMs });
  }, stop);
}

async function runToTheEnd<Tx>(event: RecordedEvent, parts: RunParts<Tx>, stop: AbortSignal): Promise<RunOutcome> {
  const { observer, store, segment } = parts;
  const { failure, key } = observer;
  const startedAt = performance.now();
  let attempts = 0;
  let transientFailures = 0;
  for (let current = event; ; current = await readAgain(event, parts, stop)) {
    try {
      if ((await run(current, parts)) === "rejected") return { kind: "rejected" };
      return { kind: "handled", durationMs: performance.now() - startedAt };
    } catch (error) {
      const transient = isTransient(error);
      if (transient) transientFailures += 1;
      else attempts += 1;
      if (transient && transientFailures >= TRANSIENT_RETRY.attempts) return { kind: "failed", error };
      const isSpent = attempts >= failure.attempts;
      // The failure that stops the consumer is recorded when nothing beside it can succeed any more.
      const isLast = isSpent && failure.then === "stop";
      if (!transient && !isLast) await patiently(() => store.consumers.recordError(key, error, { segment }), stop);
      if (isSpent) {
        const result = { error, attempts, durationMs: performance.now() - startedAt };
        if (failure.then === "park") return { ...result, kind: "parked", event: await readAgain(event, parts, stop) };
        return { ...result, kind: failure.then === "stop" ? "stopped" : "skipped" };
      }
      await sleep(transient ? backoff(transientFailures, TRANSIENT_RETRY) : backoff(attempts, failure), stop);
    }
  }
}

async function run<Tx>(
  event: RecordedEvent,
  { observer, executor, context }: RunParts<Tx>,
): Promise<void | "rejected"> {
  const task = async (): Promise<void> => {
    await observer.handle(event, context);
  };
  return executor === undefined ? task() : executor(task, { aggregate: event.aggregate, signal: context.signal });
}

/** The handler may have changed the event that it was given. */
async function readAgain<Tx>(event: RecordedEvent, { log }: RunParts<Tx>, stop: AbortSignal): Promise<RecordedEvent> {
  const after = toPosition(event.position - 1n);
  const { events } = await patiently(() => log.readAll({ after, limit: 1 }), stop);
  const [again] = events;
  return again?.position === event.position ? again : event;
}

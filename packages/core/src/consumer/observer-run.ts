import { isTransient } from "../errors.ts";
import type { RecordedEvent } from "../event.ts";
import type { EventSource, Store } from "../store/store.ts";
import { backoff, linkSignals, sleep } from "../store/timing.ts";
import { toPosition } from "../values/position.ts";
import type { HandlerContext } from "./definition.ts";
import { TRANSIENT_RETRY } from "./failure.ts";
import type { Executor, Observer } from "./observer.ts";

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
  readonly context: HandlerContext;
  /** Tells our claims from those of others. */
  readonly owner: string;
  readonly stop: readonly (AbortSignal | undefined)[];
}

const LONGEST_LOOK_AT_A_CLAIM_MS = 1_000;

/** Runs the handler until it succeeds or its failure policy applies; claims the event first where that is wanted. */
export async function runObserved<Tx>(event: RecordedEvent, parts: RunParts<Tx>): Promise<RunOutcome> {
  const { controller, unlink } = linkSignals(parts.stop);
  try {
    if (parts.observer.dedupe === "none") return await runToTheEnd(event, parts, controller.signal);
    return await runClaimed(event, parts, controller.signal);
  } catch (error) {
    if (controller.signal.aborted) return { kind: "interrupted" };
    return { kind: "failed", error };
  } finally {
    unlink();
  }
}

async function runClaimed<Tx>(event: RecordedEvent, parts: RunParts<Tx>, stop: AbortSignal): Promise<RunOutcome> {
  const { store, log, observer, owner } = parts;
  const key = `${log.logId}:${event.position}`;
  for (let attempt = 1; ; attempt++) {
    const outcome = await store.claims.claim(observer.key, key, { token: owner, ms: observer.claimMs });
    if (outcome === "done") return { kind: "done-before" };
    if (outcome === "claimed") break;
    // Whoever claimed it before us may still be at it: until it is completed or runs out.
    await sleep(backoff(attempt, { minDelayMs: 10, maxDelayMs: LONGEST_LOOK_AT_A_CLAIM_MS }), stop);
  }
  let done = false;
  try {
    const result = await runToTheEnd(event, parts, stop);
    done = result.kind === "handled" || result.kind === "skipped";
    if (done) await store.claims.complete(observer.key, key);
    return result;
  } finally {
    // Also when it was interrupted: whoever goes on shall not have to wait until the claim runs out.
    if (!done) await store.claims.release(observer.key, key, owner);
  }
}

async function runToTheEnd<Tx>(event: RecordedEvent, parts: RunParts<Tx>, stop: AbortSignal): Promise<RunOutcome> {
  const { observer, store } = parts;
  const { failure, key } = observer;
  const startedAt = performance.now();
  let attempts = 0;
  let transientFailures = 0;
  for (let current = event; ; current = await readAgain(event, parts)) {
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
      if (!transient && !isLast) await store.consumers.recordError(key, error);
      if (isSpent) {
        const result = { error, attempts, durationMs: performance.now() - startedAt };
        if (failure.then === "park") return { ...result, kind: "parked", event: await readAgain(event, parts) };
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
async function readAgain<Tx>(event: RecordedEvent, { log }: RunParts<Tx>): Promise<RecordedEvent> {
  const { events } = await log.readAll({ after: toPosition(event.position - 1n), limit: 1 });
  const [again] = events;
  return again?.position === event.position ? again : event;
}

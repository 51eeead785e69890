import { setMaxListeners } from "node:events";
import { isTidemarkError, TidemarkError } from "../errors.ts";

/** What a fired signal turns a call into. */
export function aborted(signal: AbortSignal, details: { readonly eventIds?: readonly string[] } = {}): TidemarkError {
  const reason: unknown = signal.reason;
  if (isTidemarkError(reason)) return reason;
  const advice =
    details.eventIds === undefined
      ? "Call again if it is still wanted."
      : "It happened entirely or not at all: append again with the same event ids to learn which.";
  return new TidemarkError("ABORTED", `The call was aborted by its signal. ${advice}`, details, { cause: reason });
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw aborted(signal);
}

/** `promise`, or ABORTED as soon as `signal` fires; the work behind the promise goes on unobserved. */
export function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  details: { readonly eventIds?: readonly string[] } = {},
): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(aborted(signal, details));
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** Resolves after `ms`, rejects with ABORTED as soon as `signal` fires. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(aborted(signal));
    const timer = setTimeout(finish, ms);
    signal?.addEventListener("abort", stop, { once: true });
    function finish(): void {
      signal?.removeEventListener("abort", stop);
      resolve();
    }
    function stop(): void {
      clearTimeout(timer);
      if (signal !== undefined) reject(aborted(signal));
    }
  });
}

/** Exponential, with jitter between half and the whole. `attempt` counts from 1. */
export function backoff(attempt: number, bounds: { readonly minDelayMs: number; readonly maxDelayMs: number }): number {
  const full = Math.min(bounds.maxDelayMs, bounds.minDelayMs * 2 ** (attempt - 1));
  return Math.ceil(full * (0.5 + Math.random() / 2));
}

/** A controller to whose signal any number may listen at once: Node takes more than ten for a leak, and warns. */
export function createController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

/** A signal that fires with any of `signals`. Call `unlink` when it is no longer needed. */
export function linkSignals(signals: readonly (AbortSignal | undefined)[]): {
  readonly controller: AbortController;
  readonly unlink: () => void;
} {
  const controller = createController();
  const links = signals
    .filter((signal) => signal !== undefined)
    .map((signal) => ({ signal, fire: () => controller.abort(signal.reason) }));
  for (const { signal, fire } of links) {
    if (signal.aborted) fire();
    else signal.addEventListener("abort", fire, { once: true });
  }
  return {
    controller,
    unlink: () => {
      for (const { signal, fire } of links) signal.removeEventListener("abort", fire);
    },
  };
}

import { sleep } from "./timing.ts";

/** Wakes whoever waits for news of the log. Signals may be early, late or lost: waiters look for themselves. */
export class Waker {
  #version = 0;
  readonly #sleepers = new Set<AbortController>();

  /** Take it before you look at the log, and hand it to {@link rest}: a signal in between is then not lost. */
  get version(): number {
    return this.#version;
  }

  wake(): void {
    this.#version += 1;
    for (const sleeper of this.#sleepers) sleeper.abort();
  }

  /** Resolves with true when woken since `version`, with false after `ms`. Rejects with ABORTED when `signal` fires. */
  async rest(version: number, ms: number, signal: AbortSignal): Promise<boolean> {
    if (this.#version !== version) return true;
    const sleeper = new AbortController();
    const forward = (): void => sleeper.abort(signal.reason);
    signal.addEventListener("abort", forward, { once: true });
    this.#sleepers.add(sleeper);
    try {
      await sleep(ms, sleeper.signal);
      return false;
    } catch (error) {
      if (signal.aborted) throw error;
      return true;
    } finally {
      this.#sleepers.delete(sleeper);
      signal.removeEventListener("abort", forward);
    }
  }
}

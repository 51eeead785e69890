import { TidemarkError } from "../errors.ts";
import { createController } from "./timing.ts";

/** Counts the calls under way, refuses new ones once closing has begun, and lets `close` wait for the rest. */
export class Lifetime {
  readonly #closing = createController();
  readonly #idle: (() => void)[] = [];
  #running = 0;
  #closed: Promise<void> | undefined;

  /** Fires, with CLOSED as its reason, when closing begins. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Throws CLOSED once closing has begun. */
  check(): void {
    if (this.#closing.signal.aborted) throw closed();
  }

  /** Runs `work` as a call under way. Throws CLOSED once closing has begun. */
  run<T>(work: () => Promise<T>): Promise<T> {
    this.check();
    return this.track(work);
  }

  /** Runs `work`, which a call began before closing, as under way. With no promise more than it takes: appends run here. */
  track<T>(work: () => Promise<T>): Promise<T> {
    this.#running += 1;
    try {
      return work().then(
        (value) => {
          this.#end();
          return value;
        },
        (error: unknown) => {
          this.#end();
          throw error;
        },
      );
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  /** Refuses new calls, waits for those under way, then runs `finish`, once. */
  close(finish: () => Promise<void>): Promise<void> {
    this.#closed ??= this.#close(finish);
    return this.#closed;
  }

  #end(): void {
    this.#running -= 1;
    if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #close(finish: () => Promise<void>): Promise<void> {
    this.#closing.abort(closed());
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    await finish();
  }
}

function closed(): TidemarkError<"CLOSED"> {
  return new TidemarkError("CLOSED", "The store is closed. Open another one.", {});
}

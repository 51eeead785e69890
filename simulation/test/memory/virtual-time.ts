import type { Process } from "./scheduler.ts";

export interface Timer {
  readonly process: Process;
  readonly at: number;
  readonly every: number | undefined;
  readonly run: () => void;
}

const real = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  setImmediate: globalThis.setImmediate,
  dateNow: Date.now,
  performanceNow: performance.now.bind(performance),
  random: Math.random,
};

/**
 * Takes the place of timers, clocks and chance while a simulation runs. A timer belongs to the process that set it, so
 * that it dies and pauses with it. Time moves with each step of the scheduler, and leaps when nobody can go on.
 */
export class VirtualTime {
  now = 1_000_000;
  readonly #owner: () => Process;
  readonly #timers = new Map<object, Timer>();

  constructor(owner: () => Process) {
    this.#owner = owner;
  }

  install(random: () => number): void {
    const set = (run: () => void, ms: number | undefined, every?: number): object => {
      const handle = { unref: () => handle, ref: () => handle, hasRef: () => false };
      const timer = { process: this.#owner(), at: this.now + Math.max(0, ms ?? 0), every, run };
      if (!timer.process.crashed) this.#timers.set(handle, timer);
      return handle;
    };
    const clear = (handle: unknown): void => {
      if (typeof handle === "object" && handle !== null) this.#timers.delete(handle);
    };
    const fakes: object = {
      setTimeout: (run: () => void, ms?: number) => set(run, ms),
      setInterval: (run: () => void, ms = 1) => set(run, ms, Math.max(1, ms)),
      setImmediate: (run: () => void) => set(run, 0),
      clearTimeout: clear,
      clearInterval: clear,
    };
    Object.assign(globalThis, fakes);
    Date.now = () => this.now;
    performance.now = () => this.now;
    Math.random = random;
  }

  uninstall(): void {
    const { dateNow, performanceNow, random, ...timers } = real;
    Object.assign(globalThis, timers);
    Date.now = dateNow;
    performance.now = performanceNow;
    Math.random = random;
  }

  /** Resolves when no promise is left that could settle without another step: Node's next tick comes after them all. */
  everythingElse(): Promise<void> {
    return new Promise((resolve) => {
      process.nextTick(resolve);
    });
  }

  due(): readonly Timer[] {
    const due: Timer[] = [];
    for (const timer of this.#timers.values()) {
      if (timer.at <= this.now && timer.process.pausedUntil <= this.now) due.push(timer);
    }
    return due;
  }

  /** When the next timer can fire; Infinity without timers. */
  next(): number {
    let next = Infinity;
    for (const { at, process } of this.#timers.values()) next = Math.min(next, Math.max(at, process.pausedUntil));
    return next;
  }

  fire(timer: Timer): void {
    for (const [handle, candidate] of this.#timers) {
      if (candidate !== timer) continue;
      if (timer.every === undefined) this.#timers.delete(handle);
      else this.#timers.set(handle, { ...timer, at: this.now + timer.every });
    }
    timer.run();
  }

  forget(process: Process): void {
    for (const [handle, timer] of this.#timers) if (timer.process === process) this.#timers.delete(handle);
  }
}

/** Wall-clock milliseconds, also while a simulation runs. */
export function realNow(): number {
  return real.performanceNow();
}

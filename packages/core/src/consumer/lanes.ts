/**
 * Runs tasks side by side, a bounded number at once, those of one lane one after the other, in the order in which they
 * were given.
 */
export class Lanes {
  readonly #concurrency: number;
  readonly #queues = new Map<string, (() => Promise<void>)[]>();
  readonly #ready: string[] = [];
  #changed: { readonly promise: Promise<void>; readonly tell: () => void } | undefined;
  #running = 0;
  #unfinished = 0;

  constructor(concurrency: number) {
    this.#concurrency = concurrency;
  }

  /** Tasks that were given and are not done. */
  get unfinished(): number {
    return this.#unfinished;
  }

  /** `task` must not reject: what it has to say goes another way. */
  give(name: string, task: () => Promise<void>): void {
    // Where nothing runs side by side, all is done in the order in which it was given: lanes would only take turns.
    const lane = this.#concurrency === 1 ? "" : name;
    this.#unfinished += 1;
    const queue = this.#queues.get(lane);
    if (queue !== undefined) {
      queue.push(task);
      return;
    }
    this.#queues.set(lane, [task]);
    this.#ready.push(lane);
    this.#fill();
  }

  /** Forgets every task that has not begun. */
  clear(): void {
    for (const queue of this.#queues.values()) this.#unfinished -= queue.splice(0).length;
    for (const lane of this.#ready.splice(0)) this.#queues.delete(lane);
  }

  /** Resolves when another task is done, or at once when none is unfinished. */
  change(): Promise<void> {
    if (this.#unfinished === 0) return Promise.resolve();
    if (this.#changed === undefined) {
      let tell = (): void => undefined;
      const promise = new Promise<void>((resolve) => (tell = resolve));
      this.#changed = { promise, tell };
    }
    return this.#changed.promise;
  }

  #fill(): void {
    while (this.#running < this.#concurrency) {
      const lane = this.#ready.shift();
      if (lane === undefined) return;
      const task = this.#queues.get(lane)?.shift();
      if (task === undefined) this.#queues.delete(lane);
      else void this.#run(lane, task);
    }
  }

  async #run(lane: string, task: () => Promise<void>): Promise<void> {
    this.#running += 1;
    try {
      await task();
    } finally {
      this.#running -= 1;
      this.#unfinished -= 1;
      if (this.#queues.get(lane)?.length === 0) this.#queues.delete(lane);
      else if (this.#queues.has(lane)) this.#ready.push(lane);
      this.#fill();
      this.#changed?.tell();
      this.#changed = undefined;
    }
  }
}

/** So many at once; the others wait in line. */
export class Slots {
  #free: number;
  readonly #line: (() => void)[] = [];

  constructor(slots: number) {
    this.#free = slots;
  }

  /** Resolves with what gives the slot back; undefined when `signal` fired before there was one. */
  async take(signal: AbortSignal): Promise<(() => void) | undefined> {
    if (signal.aborted) return undefined;
    if (this.#free > 0) this.#free -= 1;
    else if (!(await this.#queue(signal))) return undefined;
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      const next = this.#line.shift();
      if (next === undefined) this.#free += 1;
      else next();
    };
  }

  #queue(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const proceed = (): void => {
        signal.removeEventListener("abort", giveUp);
        resolve(true);
      };
      const giveUp = (): void => {
        this.#line.splice(this.#line.indexOf(proceed), 1);
        resolve(false);
      };
      signal.addEventListener("abort", giveUp, { once: true });
      this.#line.push(proceed);
    });
  }
}

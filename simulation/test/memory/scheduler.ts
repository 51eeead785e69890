import type { Dice } from "./dice.ts";
import { type Timer, VirtualTime } from "./virtual-time.ts";

/** What crashes and is paused as a whole: a store with everything that runs on it. */
export class Process {
  readonly name: string;
  crashed = false;
  /** Nothing of it goes on before this virtual moment. */
  pausedUntil = 0;
  /** Ends what the database still does for it, when it crashes. */
  readonly onCrash: Set<() => void> = new Set();

  constructor(name: string) {
    this.name = name;
  }
}

interface Waiting {
  readonly process: Process;
  readonly label: string;
  readonly goOn: () => void;
}

/**
 * Decides, by the dice alone, which waiting step goes on next. Between two steps everything that can run without
 * another step has run: so one step's code is never interleaved with another's except where it waits for a turn.
 */
export class Scheduler {
  readonly time: VirtualTime;
  readonly #dice: Dice;
  readonly #traces: boolean;
  readonly #waiting: Waiting[] = [];
  /** Whose step is under way. */
  #current: Process;
  #steps = 0;
  /** What happened, for whoever looks at a failing seed. */
  readonly trace: string[] = [];

  constructor(dice: Dice, root: Process, traces: boolean) {
    this.#dice = dice;
    this.#traces = traces;
    this.#current = root;
    this.time = new VirtualTime(() => this.#current);
  }

  get steps(): number {
    return this.#steps;
  }

  get current(): Process {
    return this.#current;
  }

  /** Resolves when the scheduler lets this step go on; never for a process that has crashed. */
  turn(process: Process, label: string): Promise<void> {
    return new Promise((goOn) => {
      if (!process.crashed) this.#waiting.push({ process, label, goOn });
    });
  }

  /** Runs `begin` as a step of `process`. */
  async within(process: Process, begin: () => void): Promise<void> {
    this.#current = process;
    begin();
    await this.time.everythingElse();
  }

  /** The process does nothing any more, from here on. */
  crash(process: Process): void {
    this.note(process, "CRASH");
    process.crashed = true;
    for (const end of process.onCrash) end();
    process.onCrash.clear();
    for (let index = this.#waiting.length - 1; index >= 0; index--) {
      if (this.#waiting[index]?.process === process) this.#waiting.splice(index, 1);
    }
    this.time.forget(process);
  }

  note(process: Process, what: string): void {
    if (this.#traces) this.trace.push(`${this.time.now} ${process.name} ${what}`);
  }

  /** One step. False when nothing is left that could go on. */
  async step(): Promise<boolean> {
    const { time } = this;
    const ready = this.#waiting.filter(({ process }) => process.pausedUntil <= time.now);
    const due = time.due();
    const count = ready.length + due.length;
    if (count === 0) return this.#leap();
    this.#steps += 1;
    time.now += 1;
    const choice = this.#dice.between(0, count - 1);
    const step = ready[choice];
    const timer = due[choice - ready.length];
    if (step !== undefined) await this.#goOn(step);
    else if (timer !== undefined) await this.#fire(timer);
    return true;
  }

  async #goOn(step: Waiting): Promise<void> {
    this.#waiting.splice(this.#waiting.indexOf(step), 1);
    this.note(step.process, step.label);
    await this.within(step.process, step.goOn);
  }

  async #fire(timer: Timer): Promise<void> {
    await this.within(timer.process, () => this.time.fire(timer));
  }

  /** Nobody can go on: moves time to the next moment at which somebody can. */
  #leap(): boolean {
    const moments = this.#waiting.map(({ process }) => process.pausedUntil);
    const next = Math.min(...moments, this.time.next());
    if (next === Infinity) return false;
    this.time.now = Math.max(this.time.now, next);
    return true;
  }
}

import {
  createMemoryAdapter,
  createMemoryDatabase,
  type MemoryDatabase,
  type MemoryTransaction,
} from "@tidemark/adapter-memory";
import { openStore, type RecordedEvent, type Store } from "@tidemark/core";
import type { Adapter } from "@tidemark/core/spi";
import { Dice } from "./dice.ts";
import { gateAdapter } from "./gated-adapter.ts";
import type { Plan } from "./plan.ts";
import { Poison } from "./poison.ts";
import { Referee } from "./referee.ts";
import { Process, Scheduler } from "./scheduler.ts";
import type { Witness } from "./witness.ts";

/** What a writer tried to append together, and what it was told about it. */
export interface Attempt {
  readonly ids: readonly string[];
  outcome: "unknown" | "committed" | "nothing";
}

/** Breaks an adapter in one way, to see whether the simulation notices. */
export type Sabotage = (
  adapter: Adapter<MemoryTransaction>,
  database: MemoryDatabase,
  dice: Dice,
) => Adapter<MemoryTransaction>;

export interface SimulationOptions {
  readonly sabotage?: Sabotage | undefined;
  /** Whether every step is written down: slow, and wanted for a failing seed only. */
  readonly traces?: boolean | undefined;
  /** How many appends the writers try in all, at most. */
  readonly mostAppends?: number | undefined;
}

/** A database in virtual time, with processes that work on it. */
export abstract class SimulatedWorld {
  abstract readonly referee: Witness;
  readonly dice: Dice;
  readonly scheduler: Scheduler;
  readonly database: MemoryDatabase;
  readonly adapter: Adapter<MemoryTransaction>;
  readonly poison: Poison;
  readonly processes: Process[] = [];
  /** How many appends the writers try in all. */
  readonly appends: number;
  readonly attempts: Attempt[] = [];
  /** Events that failed on a saga, by `consumer/saga id`. */
  readonly failedOnSaga: Map<string, Set<bigint>> = new Map();
  lastId = 0;
  /** No more chaos: everything that runs comes to its end. */
  resting = false;
  faults: number;
  /** How far the database's clock is ahead of the processes'. */
  #ahead = 0;
  readonly #sabotaged: Adapter<MemoryTransaction>;
  readonly #running = new Map<Process, number>();

  constructor(seed: number, { sabotage = (adapter) => adapter, traces = false, mostAppends = 30 }: SimulationOptions) {
    const dice = new Dice(seed);
    this.dice = dice;
    this.scheduler = new Scheduler(dice, new Process("root"), traces);
    this.database = createMemoryDatabase({ clock: () => this.clock() });
    this.adapter = createMemoryAdapter({ database: this.database });
    this.#sabotaged = sabotage(this.adapter, this.database, dice);
    this.poison = new Poison(dice);
    this.faults = dice.pick([0, 0, 0.002, 0.01]);
    this.appends = dice.between(5, mostAppends);
  }

  /** The database's. */
  clock(): number {
    return this.scheduler.time.now + this.#ahead;
  }

  /** The database's clock gains on those of the processes: leases and claims run out that their holders believe in. */
  leap(ms: number): void {
    this.#ahead += ms;
  }

  /** Lets others go on while a handler runs, and lets it fail: before its effect, and after it. */
  async handlerStep(process: Process, consumer: string, event: RecordedEvent): Promise<void> {
    if (this.dice.chance(0.5)) await this.scheduler.turn(process, `${consumer} handles ${event.position}`);
    this.poison.strike(consumer, event.position);
  }

  /** What the processes have of the database, where the referee has to hear of more than the gate tells. */
  protected watched(adapter: Adapter<MemoryTransaction>): Adapter<MemoryTransaction> {
    return adapter;
  }

  /** Runs `work` in a new process, counted as running until it is done or crashes. */
  async runProcess(work: (process: Process, store: Store<MemoryTransaction>) => Promise<void>): Promise<void> {
    const process = new Process(`process ${this.processes.length + 1}`);
    const { dice, scheduler, referee } = this;
    this.processes.push(process);
    this.#running.set(process, 1);
    const adapter = gateAdapter(this.watched(this.#sabotaged), {
      process,
      scheduler,
      dice,
      referee,
      faults: () => this.faults,
    });
    const run = async (): Promise<void> => {
      try {
        await work(process, await openStore(adapter, { retry: { minDelayMs: 1, maxDelayMs: 20, attempts: 3 } }));
      } catch (error) {
        referee.violation(
          `${process.name} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        );
      }
      this.#running.delete(process);
    };
    await scheduler.within(process, () => void run());
  }

  /** Processes that have something to do. */
  get running(): readonly Process[] {
    return [...this.#running.keys()].filter((process) => !process.crashed);
  }
}

/** Everything that a seed determines. */
export class World extends SimulatedWorld {
  readonly referee: Referee;
  readonly plans: Plan[] = [];
  /** Whether operators take back what they asked: then what waits may have to be asked for again. */
  readonly cancels: boolean;

  constructor(seed: number, options: SimulationOptions) {
    super(seed, options);
    this.cancels = this.dice.chance(0.5);
    this.referee = new Referee(this.database, this.adapter, this.poison, () => this.clock(), this.cancels);
  }
}

/** In virtual time. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

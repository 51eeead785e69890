import type { MemoryTransaction } from "@tidemark/adapter-memory";
import type { Store } from "@tidemark/core";
import type { Adapter } from "@tidemark/core/spi";
import { SimulatedWorld, type SimulationOptions } from "../memory/world.ts";
import type { Plan } from "./plan.ts";
import { Warden } from "./warden.ts";

/** Breaks a worker in one way: by what its store tells it. */
type Lie = (store: Store<MemoryTransaction>) => Store<MemoryTransaction>;

export interface WorkerSimulationOptions extends SimulationOptions {
  readonly lie?: Lie | undefined;
}

/** Everything that a seed determines. */
export class World extends SimulatedWorld {
  readonly referee: Warden;
  readonly plans: Plan[] = [];
  readonly lie: Lie;
  workers = 0;

  constructor(seed: number, { lie = (store) => store, ...options }: WorkerSimulationOptions) {
    super(seed, { mostAppends: 80, ...options });
    this.lie = lie;
    this.referee = new Warden(this.database, this.adapter, () => this.clock());
  }

  protected override watched(adapter: Adapter<MemoryTransaction>): Adapter<MemoryTransaction> {
    return this.referee.watching(adapter);
  }
}

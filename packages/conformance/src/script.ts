import type { consume, ConsumeResult, Store, StoreOptions } from "@tidemark/core";
import { turn } from "./expect.ts";
import type { Change } from "./law.ts";
import type { TestDatabase } from "./subject.ts";

/** What a script in another process has. */
export interface ScriptBench<Tx> {
  readonly database: TestDatabase<Tx>;
  /**
   * As `Bench.open`: on the parent's database, or on the other one that its `process.config` names; broken the same
   * way as the parent's when a broken store is judged.
   */
  readonly open: (options?: StoreOptions, change?: Change<Tx>, config?: unknown) => Promise<Store<Tx>>;
  /** As `Bench.consume`. */
  readonly consume: typeof consume;
  /** Tells the parent, which awaits it by `hear`. */
  readonly say: (what: string, value?: unknown) => void;
  /** Awaits what the parent says. */
  readonly hear: (what: string) => Promise<unknown>;
  /** SIGKILL for this very process: nothing is flushed, closed or rolled back. */
  readonly die: () => never;
}

/** Runs in a process of its own; what it returns must survive JSON. */
export type Script = <Tx>(bench: ScriptBench<Tx>, args: unknown) => Promise<unknown>;

/** What the law has handed over: the two agree on its shape. */
export function argsOf<T>(args: unknown): T {
  return args as T;
}

/**
 * Runs cycles until one ends by itself, and says how. Scripts that are to die have short leases, which run out on a busy
 * machine: that is not what they are about.
 */
export async function consumeOn(cycle: () => Promise<ConsumeResult>): Promise<ConsumeResult["kind"]> {
  for (;;) {
    const { kind } = await cycle();
    if (kind !== "zone-lost" && kind !== "busy") return kind;
    await turn();
  }
}

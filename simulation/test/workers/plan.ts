import type { MemoryTransaction } from "@tidemark/adapter-memory";
import type { AnyConsumer, FailurePolicy, RecordedEvent } from "@tidemark/core";
import type { Process } from "../memory/scheduler.ts";

/** A consumer of the simulated world, of which there may be a second version. */
export interface Plan {
  readonly name: string;
  readonly kind: "projector" | "observer" | "saga";
  readonly failure: FailurePolicy & { readonly attempts: number };
  /** What it is declared with. */
  readonly segments: number;
  readonly inScope: (event: Pick<RecordedEvent, "type" | "aggregate">) => boolean;
  /** Whether an event that is in scope surely has an effect. */
  readonly concerns: (event: Pick<RecordedEvent, "type">) => boolean;
  readonly make: (process: Process, version: number, segments: number) => AnyConsumer<MemoryTransaction>;
  /** How many versions there are: workers that start from then on run them all. */
  versions: number;
}

/** What one version of a projector writes down for an aggregate, in the checkpoint's transaction. */
export interface Effect {
  readonly position: bigint;
  readonly live: boolean;
}

/** One word for a version of a consumer: the name, for the first one. */
export function labelOf(name: string, version: number): string {
  return version === 1 ? name : `${name}@${version}`;
}

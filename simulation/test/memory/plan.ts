import type { MemoryTransaction } from "@tidemark/adapter-memory";
import type { AnyConsumer, FailurePolicy, RecordedEvent } from "@tidemark/core";
import type { Process } from "./scheduler.ts";

/** A consumer of the simulated world, which every process makes for itself. */
export interface Plan {
  readonly name: string;
  readonly kind: "projector" | "observer" | "saga";
  readonly claims: boolean;
  readonly failure: FailurePolicy & { readonly attempts: number };
  readonly inScope: (event: Pick<RecordedEvent, "type" | "aggregate">) => boolean;
  /** Whether an event that is in scope surely has an effect: not so where a saga has to be found for it. */
  readonly concerns: (event: Pick<RecordedEvent, "type">) => boolean;
  readonly make: (process: Process) => AnyConsumer<MemoryTransaction>;
}

export interface EventData {
  /** What sagas are found by: several share a pair. */
  readonly group: string;
  readonly pair: string;
}

export function dataOf(event: Pick<RecordedEvent, "data">): EventData {
  return event.data as EventData;
}

/** Where projectors and sagas write what they did, in the checkpoint's transaction. */
export const effectsOf = (consumer: string): string => `effects of ${consumer}`;

export function aggregateLabel({ aggregate }: Pick<RecordedEvent, "aggregate">): string {
  return `${aggregate.type}/${aggregate.id}`;
}

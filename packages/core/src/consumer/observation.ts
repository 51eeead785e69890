import type { ConsumerKey, ConsumerKind } from "../adapter/consumers.ts";
import type { RecordedEvent } from "../event.ts";

/** What became of one event in one consumer. */
export interface Observation {
  readonly consumer: ConsumerKey;
  readonly kind: ConsumerKind;
  readonly event: RecordedEvent;
  /** Of the handler's last run, or of its batch divided by the batch's events; 0 where no handler ran. */
  readonly durationMs: number;
  /** `"waits"`: parked behind a dead letter of its sequence. `"stopped"`: it failed for good and stopped the consumer. */
  readonly outcome: "handled" | "skipped" | "parked" | "waits" | "stopped";
  /** Why, unless it was handled or waits. */
  readonly error?: unknown;
}

/** Called once for each event that a consumer is through with. What it throws is ignored. */
export type Observe = (observation: Observation) => void;

/** Tells an observer of consumers; its own failures are not the consumer's. */
export function notify(observe: Observe | undefined, observation: Observation): void {
  // A counter or a log that fails must not stop a business; neither may one that fails later, as an async function does.
  const tell = async (): Promise<unknown> => observe?.(observation);
  tell().catch(() => undefined);
}

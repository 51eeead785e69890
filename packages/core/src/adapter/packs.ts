import type { Operation } from "./operation.ts";
import type { ActorRef } from "./snapshots.ts";

/** Event packs: what an actor's events since the snapshot before were, by the vector of the snapshot after them. */
export interface PackPort {
  /** Creates or replaces. `events` is JSON text, which may be tens of megabytes. */
  store(actor: ActorRef, vector: string, events: string, op: Operation): Promise<void>;
  get(actor: ActorRef, vector: string, op: Operation): Promise<string | undefined>;
}

export type { ConsequentActorStore, ConsequentState } from "./actor-store.ts";
export type { ConsequentEvent } from "./event.ts";
export type { ConsequentEventStore, ConsequentEventStream, ConsequentStreamOptions } from "./event-store.ts";
export {
  type ConsequentLibrary,
  type ConsequentStores,
  createConsequentStores,
  type HealedOptions,
  type UnhealedOptions,
} from "./stores.ts";
export type { OnFailure, SwallowedFailure } from "./failure.ts";

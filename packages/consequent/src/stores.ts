import type { OnAnomaly, Store } from "@tidemark/core";
import { got } from "@tidemark/core/spi";
import { type ConsequentActorStore, type ConsequentState, createActorStore } from "./actor-store.ts";
import { type ConsequentEventStore, createEventStore } from "./event-store.ts";
import type { OnFailure } from "./failure.ts";
import { checkObject, invalid } from "./given.ts";

/** What consequent asks for an adapter of each type of actor. */
export type ConsequentLibrary<T> = {
  readonly create: (type: string) => Promise<T>;
};

/** Spread it into the configuration of consequent. `Fetched` is what `fetch` of the actor store finds. */
export type ConsequentStores<Fetched> = {
  readonly actorStore: ConsequentLibrary<ConsequentActorStore<Fetched>>;
  readonly eventStore: ConsequentLibrary<ConsequentEventStore>;
};

interface SharedOptions {
  /**
   * The context of the actors' events in the log, and of nothing else: snapshots, packs and ids know no context, so give the
   * actors of another context types of their own. Default `"default"`.
   */
  readonly context?: string | undefined;
  /** Told of anomalies in the ancestry of actors. Default: nobody. */
  readonly onAnomaly?: OnAnomaly | undefined;
  /** Told why a snapshot or a pack was not stored, which consequent does not tell anybody. Default: nobody. */
  readonly onFailure?: OnFailure | undefined;
}

/** Siblings are healed: by consequent, when it applies the events that it is given. */
export interface HealedOptions extends SharedOptions {
  readonly siblings?: "heal" | undefined;
  /**
   * A new actor's state, with which siblings begin that share no snapshot: `(type, id) => api.actors[type].factory(id)`,
   * where `api` is what consequent has returned. May be a promise. Called for such siblings only.
   */
  readonly initialState: (actorType: string, actorId: string) => unknown;
}

/** `fetch` gives siblings as an array, for those who heal them themselves. consequent 2.0 does not: see the README. */
export interface UnhealedOptions extends SharedOptions {
  readonly siblings: "array";
}

/** A store of any adapter; or one in a transaction, for as long as that lasts. */
type Lent = Pick<Store<never>, "actorStores" | "eventStores">;

/**
 * A store as the `actorStore` and the `eventStore` of consequent 2. Without I/O. The store stays the caller's to close.
 * Errors: INVALID_ARGUMENT.
 */
export function createConsequentStores(store: Lent, options: HealedOptions): ConsequentStores<ConsequentState>;
export function createConsequentStores(
  store: Lent,
  options: UnhealedOptions,
): ConsequentStores<ConsequentState | ConsequentState[]>;
export function createConsequentStores(
  store: Lent,
  options: Partial<HealedOptions> | UnhealedOptions = {},
): ConsequentStores<ConsequentState | ConsequentState[]> {
  checkStore(store);
  checkObject("options", options);
  const { context, onAnomaly, onFailure } = options;
  checkSiblings(options.siblings);
  const initialState = options.siblings === "array" ? undefined : checkInitialState(options.initialState);
  const open = async (type: string) => ({
    actors: await store.actorStores.create(type, { onAnomaly: butOtherStates(onAnomaly) }),
    events: await store.eventStores.create(type, { context }),
    onFailure,
  });
  return {
    actorStore: { create: async (type) => createActorStore({ ...(await open(type)), onAnomaly, initialState }) },
    eventStore: { create: async (type) => createEventStore(await open(type)) },
  };
}

/** consequent would tell nobody of what it cannot create a store of. */
function checkStore(store: Partial<Lent> | undefined): void {
  if (store?.actorStores !== undefined && store.eventStores !== undefined) return;
  throw invalid(
    "store",
    `store is a store of one of Tidemark's adapters, ${got(store)}. What creates one returns a promise: await it.`,
  );
}

function checkSiblings(siblings: string | undefined): void {
  if (siblings === undefined || siblings === "heal" || siblings === "array") return;
  throw invalid("siblings", `siblings is "heal" or "array", got ${JSON.stringify(siblings)}.`);
}

/** Of these the actor store here tells: it takes states that differ in their times only for the same. */
function butOtherStates(onAnomaly: OnAnomaly | undefined): OnAnomaly {
  return (anomaly) => (anomaly.kind === "other-state" ? undefined : onAnomaly?.(anomaly));
}

function checkInitialState(initialState: HealedOptions["initialState"] | undefined): HealedOptions["initialState"] {
  if (typeof initialState === "function") return initialState;
  throw invalid(
    "initialState",
    "To heal siblings that share no snapshot it takes a new actor's state. Give initialState: (type, id) => " +
      'api.actors[type].factory(id), where api is what consequent returns; or siblings: "array", to heal them yourself.',
  );
}

import type { ActorEvent, ActorStore, EventMetadata, EventStore, Snapshot } from "@tidemark/core";
import { heal, vectorClock } from "@tidemark/core";
import { invalid } from "./given.ts";

/*
 * consequent heals without knowing it: in place of siblings it gets their ancestor's state, with the siblings' merged
 * vector, and asks for the events after `_lastEventId`. What stands there tells the event store which events those are;
 * `_siblings` tells the actor store, when the result is stored, that it is a healed one.
 */

/** Sorts after every flake id: a cache of events has none after it, and the store is asked. */
const MARK = "~heal ";

/** Of a state that begins a healing. */
export interface Healing {
  /** The vectors of what is healed. */
  readonly siblings: readonly string[];
  /** They merged. */
  readonly vector: string;
  /** The ancestor's vector; `""` where they share none. */
  readonly ancestor: string;
  /** The ancestor's last event. */
  readonly lastEventId?: string | undefined;
}

/** The system fields of a state that begins a healing. */
export function begin(
  siblings: readonly Snapshot[],
  ancestor: Snapshot | undefined,
): Readonly<Record<string, unknown>> {
  const vectors = siblings.map(({ vector }) => vector);
  const vector = vectorClock.stringify(vectorClock.merge(...vectors));
  const healing: Healing = {
    siblings: vectors,
    vector,
    ancestor: ancestor?.vector ?? "",
    lastEventId: ancestor?.lastEventId,
  };
  return {
    _vector: vector,
    _version: vectorClock.version(vector),
    _lastEventId: MARK + JSON.stringify(vectors),
    _siblings: healing,
  };
}

/** What the state, which consequent is about to store, heals: when it was made from a beginning, and not later. */
export function healingOf(state: { readonly [field: string]: unknown }): Healing | undefined {
  const { _siblings: healing, _ancestor: madeFrom } = state;
  return isHealing(healing) && healing.vector === madeFrom ? healing : undefined;
}

export function isMark(lastEventId: unknown): lastEventId is string {
  return typeof lastEventId === "string" && lastEventId.startsWith(MARK);
}

/** The events to be applied where `mark` stands for the last event. Errors: INVALID_ARGUMENT. */
export async function eventsOf(
  mark: string,
  systemId: string,
  actors: ActorStore,
  events: EventStore,
): Promise<readonly ActorEvent[]> {
  const vectors: unknown = JSON.parse(mark.slice(MARK.length));
  if (!isTexts(vectors)) throw invalid("lastEventId", "Not the mark of siblings that fetch has given.");
  const siblings = await Promise.all(vectors.map((vector) => fetchSibling(actors, systemId, vector)));
  const healing = await heal({ actors, events }, siblings);
  // Packs hold what was applied, events of other types as well: these consequent reads and applies by itself.
  return healing.events.filter(({ metadata }) => [undefined, events.actorType].includes(typeOf(metadata)));
}

async function fetchSibling(actors: ActorStore, systemId: string, vector: string): Promise<Snapshot> {
  const sibling = await actors.fetchByVector({ systemId }, vector);
  if (sibling !== undefined) return sibling;
  throw invalid(
    "lastEventId",
    `${actors.actorType} ${JSON.stringify(systemId)} has no snapshot with the vector ${JSON.stringify(vector)}. Give ` +
      "consequent the actor store and the event store of the same createConsequentStores.",
  );
}

function typeOf({ _actorType }: EventMetadata): string | undefined {
  return typeof _actorType === "string" ? _actorType : undefined;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((member) => typeof member === "string");
}

function isHealing(value: unknown): value is Healing {
  return typeof value === "object" && value !== null && "vector" in value && "ancestor" in value && "siblings" in value;
}

import type { Operation } from "../adapter/operation.ts";
import { got, invalid, isArray } from "../store/requests.ts";
import { compareBytes } from "../values/text.ts";
import { increment, merge, stringify, type VectorInput } from "../values/vector-clock.ts";
import { checkOptions } from "./access.ts";
import type { ActorStore } from "./actor-store.ts";
import type { EventStore } from "./event-store.ts";
import type { ActorEvent } from "./pack.ts";
import type { Snapshot } from "./snapshot.ts";

/** What {@link heal} reads. Of one type, from one store or inside one transaction. */
export interface HealingSources {
  readonly actors: Pick<ActorStore, "chain" | "findAncestor">;
  readonly events: Pick<EventStore, "getEventPackFor" | "getEventsFor">;
}

export interface HealOptions extends Operation {
  /** The ancestor, where you have it already. Default: found. */
  readonly ancestor?: Snapshot | undefined;
  /** As in {@link ActorStore.findAncestor}. */
  readonly ancestry?: readonly VectorInput[] | undefined;
  /**
   * Your node. Where some of the events are in no pack, another node may heal the same siblings without them: then the
   * vector is raised by this node, so that what differs is siblings again, which the next healing makes one of. Default:
   * the vector is not raised.
   */
  readonly node?: string | undefined;
}

/** How to heal siblings. */
export interface Healing {
  readonly systemId: string;
  /** The state to begin with; undefined: that of a new actor. */
  readonly ancestor: Snapshot | undefined;
  /** To be applied to it in this order: ascending by id, in bytes, each once. As many as came since the ancestor. */
  readonly events: readonly ActorEvent[];
  /**
   * What to store the result with: the siblings' vectors merged, which is after each of them, and raised where
   * {@link HealOptions.node} says so. Two who heal the same siblings by the same packs store the same.
   */
  readonly vector: string;
  /**
   * What the result's `_lastEventId` is: the last of the events, or the ancestor's last one where that sorts after it.
   * Undefined: there is none.
   */
  readonly lastEventId: string | undefined;
  /**
   * Snapshots in the chains that have no pack, with those that are missing, ascending by bytes. Empty: the packs are
   * complete. Of these snapshots it is only the log that says what made them: events that it does not have, or that sort
   * before the ancestor's last one because a clock was behind, are missing.
   */
  readonly withoutPack: readonly string[];
}

/**
 * What it takes to heal siblings, as `fetch` gives them: the snapshot to begin with, the events to apply to it, the vector
 * to store the result with. Set the result's `_ancestor` to the ancestor's vector, or to `""`, and its `_lastEventId`, before
 * you store it, with a pack of these events.
 *
 * Events are those in the packs along all chains, from each sibling down to the ancestor, and those in the log after
 * the ancestor's last event: the log has what no snapshot has yet, packs have what other logs have. Where a pack is missing
 * the log has to do. Reads a pack for each snapshot of the chains. Events in the ancestor's own pack are left out: they
 * are in its state.
 *
 * Errors: INVALID_ARGUMENT, also when there are no siblings, or they are of several actors; those of reading.
 */
export async function heal(
  sources: HealingSources,
  siblings: readonly Snapshot[],
  options: HealOptions = {},
): Promise<Healing> {
  checkSources(sources);
  checkOptions(options);
  const systemId = actorOf(siblings);
  const op: Operation = { signal: options.signal };
  const ancestor =
    options.ancestor ?? (await sources.actors.findAncestor({ systemId }, siblings, options.ancestry, op));

  const events = new Map<string, ActorEvent>();
  const withoutPack = new Set<string>();
  const visited = new Set<string>();
  /** Whether to go on: from some snapshots on down, another chain has been this way. */
  const take = async (vector: string): Promise<boolean> => {
    if (vector === ancestor?.vector || visited.has(vector)) return false;
    visited.add(vector);
    const pack = await sources.events.getEventPackFor(systemId, vector, op);
    if (pack === undefined) withoutPack.add(vector);
    for (const event of pack ?? []) if (!events.has(event.id)) events.set(event.id, event);
    return true;
  };
  for (const sibling of siblings) {
    let next: string | undefined = sibling.vector;
    for await (const link of sources.actors.chain(sibling, sibling.vector, op)) {
      next = (await take(link.vector)) ? link.ancestor : undefined;
      if (next === undefined) break;
    }
    // Where the chain ends for want of a snapshot, there may be a pack of it all the same.
    if (next !== undefined && next !== "") await take(next);
  }
  const packed = new Set(events.keys());
  // As the log has them, where it has them.
  for (const event of await sources.events.getEventsFor(systemId, ancestor?.lastEventId, op))
    events.set(event.id, event);
  const applied = ancestor && (await sources.events.getEventPackFor(systemId, ancestor.vector, op));
  for (const { id } of applied ?? []) events.delete(id);
  const isBeyondPacks = [...events.keys()].some((id) => !packed.has(id));
  const merged = merge(...siblings.map(({ vector }) => vector));
  const ids = [...events.keys(), ...(ancestor?.lastEventId === undefined ? [] : [ancestor.lastEventId])];
  return {
    systemId,
    ancestor,
    events: [...events.values()].sort((a, b) => compareBytes(a.id, b.id)),
    vector: stringify(isBeyondPacks && options.node !== undefined ? increment(merged, options.node) : merged),
    lastEventId: ids.sort(compareBytes).at(-1),
    withoutPack: [...withoutPack].sort(compareBytes),
  };
}

function checkSources(sources: Partial<HealingSources> | undefined): void {
  const { actors, events } = sources ?? {};
  if (typeof actors?.findAncestor !== "function") {
    throw invalid("sources.actors", `sources.actors is an actor store, ${got(actors)}. Give heal { actors, events }.`);
  }
  if (typeof events?.getEventsFor !== "function") {
    throw invalid("sources.events", `sources.events is an event store, ${got(events)}. Give heal { actors, events }.`);
  }
}

function actorOf(siblings: readonly Snapshot[]): string {
  if (!isArray(siblings)) throw invalid("siblings", `siblings is an array, as fetch gives it, ${got(siblings)}.`);
  for (const sibling of siblings) {
    if (typeof sibling === "object" && sibling !== null) continue;
    throw invalid("siblings", `siblings are snapshots, as fetch gives them, ${got(sibling)}.`);
  }
  const [first, ...others] = siblings;
  if (first === undefined) throw invalid("siblings", "heal takes the siblings that fetch has given; there is none.");
  if (others.every(({ systemId }) => systemId === first.systemId)) return first.systemId;
  throw invalid("siblings", "heal takes siblings of one actor; these are of several.");
}

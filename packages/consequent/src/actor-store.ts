import { isDeepStrictEqual } from "node:util";
import type { ActorStore, OnAnomaly, Snapshot, VectorInput } from "@tidemark/core";
import { isTidemarkError, TidemarkError, vectorClock } from "@tidemark/core";
import { got } from "@tidemark/core/spi";
import { type OnFailure, tell, telling } from "./failure.ts";
import { checkArray, checkObject, invalid, toDate, toEventId, toId } from "./given.ts";
import { begin, healingOf, isMark } from "./healing.ts";

/** An actor's state, with consequent's system fields (`_id`, `_vector`, `_lastEventId`, …). */
export type ConsequentState = { [field: string]: unknown };

/**
 * Snapshots and ids of the actors of one type, in consequent's calling convention. Ids may be business ids or system ids,
 * strings or numbers; dates are Dates, ISO texts or milliseconds.
 */
export type ConsequentActorStore<Fetched = ConsequentState> = {
  /**
   * The latest snapshot's state. Siblings: what they are healed from; or, if you wished so, an array of their states.
   *
   * **An actor without a snapshot gets its system id now**, if it has none: consequent, which is about to, would map one of
   * its own, and of two that do so at once for a new actor one would lose its events.
   */
  readonly fetch: (id: unknown) => Promise<Fetched | undefined>;
  /** The state with the last event at or before this one. */
  readonly fetchByLastEventId: (id: unknown, lastEventId: unknown) => Promise<ConsequentState | undefined>;
  /** The state whose last event was applied at this date or before. */
  readonly fetchByLastEventDate: (id: unknown, lastEventDate: unknown) => Promise<ConsequentState | undefined>;
  /** The nearest snapshot that all siblings share; their states, or instances that have them as `state`. */
  readonly findAncestor: (
    id: unknown,
    siblings: readonly unknown[],
    ancestry?: readonly unknown[],
  ) => Promise<ConsequentState | undefined>;
  /** Both as consequent calls it and as its documentation does: (id, vector, state) or (id, snapshotId, vector, state). */
  readonly store: {
    (id: unknown, vector: string, state: ConsequentState): Promise<void>;
    (id: unknown, snapshotId: string, vector: string, state: ConsequentState): Promise<void>;
  };
  readonly mapIds: (systemId: string, id: unknown) => Promise<void>;
  /** The system id that `id` had at this date; now when absent. Undefined when it had none. A system id stands for itself. */
  readonly getSystemId: (id: unknown, asOf?: unknown) => Promise<string | undefined>;
  readonly getActorId: (systemId: string, asOf?: unknown) => Promise<string | undefined>;
};

export interface ActorAccess {
  readonly actors: ActorStore;
  readonly onFailure?: OnFailure | undefined;
  /** Told of states that are refused, by this store; of all else by `actors`. */
  readonly onAnomaly?: OnAnomaly | undefined;
  /** Undefined: siblings are an array. */
  readonly initialState?: ((actorType: string, actorId: string) => unknown) | undefined;
}

export function createActorStore({
  actors,
  onFailure,
  onAnomaly,
  initialState,
}: ActorAccess): ConsequentActorStore<ConsequentState | ConsequentState[]> {
  const type = actors.actorType;

  async function beginHealing(id: string, siblings: readonly Snapshot[]): Promise<ConsequentState> {
    const [first] = siblings;
    const ancestor = await actors.findAncestor(first ?? id, siblings);
    const state = ancestor === undefined ? await initialState?.(type, id) : stateOf(ancestor);
    if (typeof state !== "object" || state === null) {
      throw invalid("initialState", `initialState gave ${String(state)} for ${type}, and no state of a new actor.`);
    }
    return { ...state, _id: first?.systemId, ...begin(siblings, ancestor) };
  }

  async function storeState(id: string, snapshotId: string, vector: string, state: ConsequentState): Promise<void> {
    const own = state["_id"];
    // Snapshots belong to the system id that the events belong to, also of an actor that nobody has fetched.
    if (typeof own === "string" && own !== id && (await systemIdOf(id, undefined)) === undefined) {
      await actors.identities.resolve(id, () => own);
    }
    // One that was made from none says so, so that it is not refused where there are siblings.
    const row = { ...state, _ancestor: state["_ancestor"] ?? "" };
    try {
      await actors.store(id, snapshotId, vector, row);
    } catch (error) {
      if (!isTidemarkError(error, "SNAPSHOT_CONFLICT")) throw error;
      const { systemId } = error.details;
      const stored = await actors.fetchByVector({ systemId }, vector);
      if (stored !== undefined && sameButForTimes(stored, row)) return;
      tell(onAnomaly, { kind: "other-state", actor: { type, systemId }, vector: error.details.vector, snapshotId });
      throw otherState(error);
    }
  }

  /** consequent's streams are asked for by system ids, and it looks these up as if they were business ids. */
  async function systemIdOf(id: string, asOf: Date | undefined): Promise<string | undefined> {
    const found = await actors.getSystemId(id, asOf);
    if (found !== undefined) return found;
    return (await actors.getActorId(id, asOf)) === undefined ? undefined : id;
  }

  /** What consequent takes for a new actor. */
  async function found(id: string, snapshot: Snapshot | undefined): Promise<ConsequentState | undefined> {
    if (snapshot !== undefined) return stateOf(snapshot);
    if ((await systemIdOf(id, undefined)) === undefined) await actors.identities.resolve(id);
    return undefined;
  }

  return {
    fetch: async (id) => {
      const actorId = toId("id", id);
      const snapshots = await actors.fetch(actorId);
      if (!Array.isArray(snapshots)) return found(actorId, snapshots);
      return initialState === undefined ? snapshots.map(stateOf) : beginHealing(actorId, snapshots);
    },

    fetchByLastEventId: async (id, lastEventId) => {
      const [actorId, eventId] = [toId("id", id), toEventId("lastEventId", lastEventId)];
      return found(actorId, eventId === undefined ? undefined : await actors.fetchByLastEventId(actorId, eventId));
    },

    fetchByLastEventDate: async (id, lastEventDate) => {
      const [actorId, date] = [toId("id", id), toDate("lastEventDate", lastEventDate)];
      return found(actorId, date && (await actors.fetchByLastEventDate(actorId, date)));
    },

    findAncestor: async (id, siblings, ancestry = []) => {
      checkArray("siblings", siblings);
      checkArray("ancestry", ancestry);
      const vectors = siblings.map((sibling) => ({ vector: vectorOf(sibling) }));
      const ancestor = await actors.findAncestor(toId("id", id), vectors, ancestry.map(toVector));
      return ancestor && stateOf(ancestor);
    },

    store: async (id: unknown, ...rest: [string, ConsequentState] | [string, string, ConsequentState]) => {
      const actorId = toId("id", id);
      const [named, vector, state] = rest.length === 3 ? rest : [undefined, ...rest];
      await telling(onFailure, { call: "store", actorType: type, id: actorId }, async () => {
        checkObject("state", state, "Call store(id, vector, state) or store(id, snapshotId, vector, state).");
        const snapshotId = named ?? state["_snapshotId"];
        if (typeof snapshotId !== "string") {
          throw invalid(
            "state._snapshotId",
            `state._snapshotId is the id of the snapshot, a string, ${got(snapshotId)}.`,
          );
        }
        await storeState(actorId, snapshotId, settle(state, vector), state);
      });
    },

    mapIds: async (systemId, id) => actors.mapIds(systemId, toId("id", id)),

    getSystemId: async (id, asOf) => systemIdOf(toId("id", id), toDate("asOf", asOf)),
    getActorId: async (systemId, asOf) => actors.getActorId(systemId, toDate("asOf", asOf)),
  };
}

/**
 * With the system fields that consequent goes on from, which the state need not have, if something else has stored it. The
 * first snapshot's `_ancestor` is absent, as consequent has it.
 */
function stateOf({ systemId, vector, version, ancestor, lastEventId, state }: Snapshot): ConsequentState {
  const { _ancestor, ...others } = state;
  return {
    _id: systemId,
    ...(lastEventId === undefined ? {} : { _lastEventId: lastEventId }),
    ...others,
    _vector: vector,
    _version: version,
    ...(ancestor === undefined || ancestor === "" ? {} : { _ancestor: ancestor }),
  };
}

/**
 * Says of a state that heals siblings what it is: with their vectors merged, made from their ancestor. consequent has raised
 * the vector by its node; but two nodes that heal the same siblings are to store the same snapshot, and not new siblings.
 * It goes on with this object, and gives it to its cache, so it must know. Returns the vector to store it with.
 */
function settle(state: ConsequentState, vector: string): string {
  const healing = healingOf(state);
  if (healing === undefined) return vector;
  delete state["_siblings"];
  if (isMark(state["_lastEventId"])) state["_lastEventId"] = healing.lastEventId;
  return Object.assign(state, {
    _vector: healing.vector,
    _version: vectorClock.version(healing.vector),
    _ancestor: healing.ancestor,
  })._vector;
}

function otherState(error: TidemarkError<"SNAPSHOT_CONFLICT">): TidemarkError<"SNAPSHOT_CONFLICT"> {
  const { actorType, systemId, vector } = error.details;
  return new TidemarkError(
    "SNAPSHOT_CONFLICT",
    `${actorType} ${JSON.stringify(systemId)} has another state with the vector ${JSON.stringify(vector)}, which stays. No ` +
      "event is lost. Commands that one process handles at once make such states, and processes that heal the same " +
      "siblings at once: that does no harm. Processes with the same nodeId do as well: give each one its own.",
    error.details,
    { cause: error },
  );
}

/** Two who apply the same events do so at different times. And what `fetch` adds to a state is no difference. */
function sameButForTimes(stored: Snapshot, row: ConsequentState & { readonly _ancestor: unknown }): boolean {
  const { _ancestor: from, ...state } = row;
  const again = {
    ...stored,
    state,
    ancestor: isVector(from) ? vectorClock.stringify(from) : "",
    lastEventId: undefined,
  };
  return isDeepStrictEqual(withoutTimes(stateOf(stored)), withoutTimes(stateOf(again)));
}

function withoutTimes(state: ConsequentState): unknown {
  const { _snapshotId, _lastEventAppliedOn, _lastCommandHandledOn, ...others } = state;
  // As JSON keeps it: what was stored has been there and back.
  return JSON.parse(
    JSON.stringify(others, (name, value: unknown) => (name === "_lastEventAppliedOn" ? undefined : value)),
  );
}

/** Of a state, or of consequent's instance that has one. */
function vectorOf(sibling: unknown): string {
  const state = isObject(sibling) && isObject(sibling["state"]) ? sibling["state"] : sibling;
  if (isObject(state) && typeof state["_vector"] === "string") return state["_vector"];
  throw invalid("siblings", `siblings are states with a _vector, as fetch gives them, ${got(sibling)}.`);
}

function toVector(vector: unknown): string {
  if (typeof vector === "string") return vector;
  throw invalid("ancestry", `ancestry is an array of vectors, which are texts here, ${got(vector)}.`);
}

/** Of what core has taken for one. */
function isVector(value: unknown): value is VectorInput {
  return typeof value === "string" || isObject(value);
}

function isObject(value: unknown): value is ConsequentState {
  return typeof value === "object" && value !== null;
}

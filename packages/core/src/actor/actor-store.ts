import type { Operation } from "../adapter/operation.ts";
import type { ActorRef, SnapshotLink, SnapshotRow } from "../adapter/snapshots.ts";
import { checkText, checkTime, got, invalid, isArray } from "../store/requests.ts";
import { compare, type VectorInput } from "../values/vector-clock.ts";
import { type ActorAccess, actorKey, checkActorId, checkActorType, checkOptions } from "./access.ts";
import { findSharedVector, inspectLinks, type LinkInspection, walkChain } from "./ancestry.ts";
import { type Anomaly, createReport, type LinkAnomaly, type OnAnomaly } from "./anomaly.ts";
import { createIdentities, type Identities } from "./identities.ts";
import { planSnapshot, type SnapshotPlan } from "./plan-snapshot.ts";
import { ancestorAmbiguous, snapshotConflict } from "./refusals.ts";
import { checkVector, decodeSnapshot, encodeSnapshot, type Snapshot } from "./snapshot.ts";

export interface ActorStoreOptions {
  /** Told of anomalies in the ancestry of actors, once a call, as calls come upon them. Default: nobody. */
  readonly onAnomaly?: OnAnomaly | undefined;
}

/** Actor stores by actor type. */
export interface ActorStores {
  /**
   * The actor store of a type. Without I/O; call it as often as you like: all that are created of one type are views of
   * the same data. Errors: INVALID_ARGUMENT, LIMIT_EXCEEDED.
   */
  create(actorType: string, options?: ActorStoreOptions): Promise<ActorStore>;
}

/**
 * Which actor is meant. A text is an actor id: it stands for the system id that it is mapped to now, for itself when it is
 * mapped to none. An object, such as a {@link Snapshot}, means its system id, whatever business id is spelled like it.
 */
export type ActorInput = string | { readonly systemId: string };

/**
 * Snapshots of the actors of one type, and the ids of these actors.
 *
 * Snapshots belong to the system id. Where you have that, say so, by `{ systemId }`: as a text it would be looked up, and
 * mean another actor once it is somebody's business id as well. Vectors may be given as texts or objects, and come back in
 * canonical form; vectors and ids compare by bytes. Errors, of all methods: INVALID_ARGUMENT, LIMIT_EXCEEDED, UNREADABLE,
 * and those of every call.
 */
export interface ActorStore {
  readonly actorType: string;
  /**
   * The actor's latest snapshot: the one whose vector no other's is after. Undefined when it has none; **an array** of two
   * or more, ascending by vector, when there are siblings, whose vectors are concurrent. Reads these rows only. The array
   * is no readonly one, so that `Array.isArray` tells the two apart.
   */
  fetch(actor: ActorInput, op?: Operation): Promise<Snapshot | Snapshot[] | undefined>;
  /** Any snapshot that was ever stored, by its vector. */
  fetchByVector(actor: ActorInput, vector: VectorInput, op?: Operation): Promise<Snapshot | undefined>;
  /**
   * The snapshot with the greatest `_lastEventId` at or before this one, in bytes; of several the one of the highest
   * version. Undefined when there is none.
   */
  fetchByLastEventId(actor: ActorInput, lastEventId: string, op?: Operation): Promise<Snapshot | undefined>;
  /**
   * The snapshot with the latest `_lastEventAppliedOn` at or before this date, to the millisecond; of several the one of the
   * greatest `_lastEventId`, then as above.
   */
  fetchByLastEventDate(actor: ActorInput, lastEventDate: Date, op?: Operation): Promise<Snapshot | undefined>;
  /**
   * Appends a snapshot to the actor's history. One whose vector is after those of siblings heals them; one whose vector is
   * before the latest one's changes nothing but the history. The same vector and state again are no change.
   *
   * What it was made from is the state's `_ancestor` (a vector; null or `""`: from none). Where that is absent it is the
   * latest snapshot, if the vector is after it, else none. Give it wherever siblings may come up.
   *
   * With an actor id, the snapshot belongs to the actor whose system id is the state's `_id`, if that was ever mapped, else
   * to the one that the id stands for: the state of an actor whose business id has moved on to another one stays its own.
   *
   * System fields of a state that has a `toJSON()` are those of what it gives. `snapshotId` is kept and given back; that of
   * the same vector and state again is not. Errors: SNAPSHOT_CONFLICT when the vector is stored with another state;
   * ANCESTOR_AMBIGUOUS when there are siblings and the state has no `_ancestor`; INVALID_EVENT for a state that JSON cannot
   * hold. After UNAVAILABLE, which may mean that the answer was lost, store again.
   */
  store(actor: ActorInput, snapshotId: string, vectorClock: VectorInput, state: object, op?: Operation): Promise<void>;
  /**
   * The nearest snapshot that the chains of all siblings share; a chain begins with the sibling and goes on by ancestors.
   * Undefined when they share none. A chain ends where an ancestor is not stored and where it would come back to itself,
   * which `onAnomaly` is told of, and before each vector in `ancestry`. Takes a few reads for thousands of links, and no
   * more memory than these.
   */
  findAncestor(
    actor: ActorInput,
    siblings: readonly { readonly vector: string }[],
    ancestry?: readonly VectorInput[],
    op?: Operation,
  ): Promise<Snapshot | undefined>;
  /** The chain of the snapshot with this vector: it first, then its ancestors. Ends as with {@link findAncestor}. */
  chain(actor: ActorInput, vector: VectorInput, op?: Operation): AsyncIterable<SnapshotLink>;
  /** Vector and ancestor of every snapshot of the actor, ascending by vector. */
  links(actor: ActorInput, op?: Operation): AsyncIterable<SnapshotLink>;
  /** Looks through the whole ancestry of an actor. Reads all links; remembers them meanwhile. Tells `onAnomaly` nothing. */
  inspect(actor: ActorInput, op?: Operation): Promise<ActorInspection>;

  /**
   * From now on, by the database's clock, these ids stand for each other. Mappings before are history: each one of an id
   * begins in a later millisecond than the one before it. The mapping that is in force again is no change.
   */
  mapIds(systemId: string, actorId: string, op?: Operation): Promise<void>;
  /** The system id that `actorId` stood for at `asOf`, inclusive; now when absent. Undefined when it had none. */
  getSystemId(actorId: string, asOf?: Date, op?: Operation): Promise<string | undefined>;
  /** The actor id that `systemId` had at `asOf`, inclusive; now when absent. Undefined when it had none. */
  getActorId(systemId: string, asOf?: Date, op?: Operation): Promise<string | undefined>;
  readonly identities: Identities;
}

/** What {@link ActorStore.inspect} found. */
export interface ActorInspection {
  readonly systemId: string;
  /** How many there are. */
  readonly snapshots: number;
  /** At most 1 000. What was refused left nothing behind, so of kind `other-state` there is none. */
  readonly anomalies: readonly Anomaly[];
  /** Whether there are more. */
  readonly more: boolean;
}

const LINKS_PAGE = 1_000;
const LISTED_ANOMALIES = 1_000;

export function createActorStores(access: ActorAccess): ActorStores {
  return {
    create: async (actorType, options) => createActorStore(checkActorType(actorType), checkOptions(options), access),
  };
}

function createActorStore(type: string, options: ActorStoreOptions = {}, access: ActorAccess): ActorStore {
  const { snapshots, codec } = access;
  const { onAnomaly } = options;
  if (onAnomaly !== undefined && typeof onAnomaly !== "function") {
    throw invalid("onAnomaly", `onAnomaly is a function that is told of an anomaly, or left out, ${got(onAnomaly)}.`);
  }
  const identities = createIdentities(type, access);
  const decode = (systemId: string, row: SnapshotRow): Snapshot => decodeSnapshot(type, systemId, row, codec);
  const sameState = (stored: string, given: string): boolean =>
    codec.same(stored, given, { kind: "snapshot-state", type });

  async function resolve(actor: ActorInput, op: Operation): Promise<ActorRef> {
    if (isNamedBySystemId(actor)) return { type, systemId: checkActorId("systemId", actor.systemId) };
    return { type, systemId: (await identities.systemId(actor, undefined, op)) ?? actor };
  }

  async function readOne(
    name: string,
    actor: ActorInput,
    op: Operation,
    read: (ref: ActorRef) => Promise<SnapshotRow | undefined>,
  ): Promise<Snapshot | undefined> {
    const ref = await resolve(actor, op);
    const row = await access.read(`actorStore.${name}`, op, () => read(ref));
    return row === undefined ? undefined : decode(ref.systemId, row);
  }

  /** Whom a snapshot belongs to whose state has this `_id`. */
  async function ownerOf(actor: ActorInput, own: unknown, op: Operation): Promise<ActorRef> {
    const named = await resolve(actor, op);
    if (isNamedBySystemId(actor) || typeof own !== "string" || own === "" || own === named.systemId) return named;
    return (await identities.actorId(own, undefined, op)) === undefined ? named : { type, systemId: own };
  }

  async function storeSnapshot(actor: ActorRef, row: SnapshotRow, op: Operation): Promise<void> {
    const report = createReport(onAnomaly);
    const { vector, snapshotId } = row;
    const decide = (plan: SnapshotPlan) => {
      switch (plan.kind) {
        case "store": {
          const { ancestor } = plan.change.row;
          if (ancestor !== undefined && compare(vector, ancestor) !== "after") {
            report({ kind: "not-after-ancestor", actor, vector, ancestor });
          }
          return plan.change;
        }
        case "unchanged":
          return undefined;
        case "other-state":
          report({ kind: "other-state", actor, vector, snapshotId });
          throw snapshotConflict(actor, vector);
        case "no-ancestor":
          throw ancestorAmbiguous(actor, plan.heads);
      }
    };
    await access.write("actorStore.store", [actorKey(actor)], () =>
      snapshots.store(actor, vector, (state) => decide(planSnapshot(state, row, sameState)), op),
    );
  }

  const readChain = (actor: ActorRef, op: Operation) => (vector: string, limit: number) =>
    access.read("actorStore.chain", op, () => snapshots.chain(actor, vector, limit, op));

  const reportLinks = (actor: ActorRef): ((anomaly: LinkAnomaly) => void) => {
    const report = createReport(onAnomaly);
    return (anomaly) => report({ ...anomaly, actor });
  };

  async function* allLinks(actor: ActorRef, op: Operation): AsyncGenerator<SnapshotLink, void, undefined> {
    for (let after: string | undefined; ;) {
      const from = after;
      const page = await access.read("actorStore.links", op, () => snapshots.links(actor, from, LINKS_PAGE, op));
      yield* page;
      if (page.length < LINKS_PAGE) return;
      after = page.at(-1)?.vector;
    }
  }

  return {
    actorType: type,

    fetch: async (actor, op = {}) => {
      const ref = await resolve(actor, op);
      const rows = await access.read("actorStore.fetch", op, () => snapshots.heads(ref, op));
      const heads = rows.map((row) => decode(ref.systemId, row));
      return heads.length > 1 ? heads : heads[0];
    },

    fetchByVector: async (actor, vector, op = {}) => {
      const canonical = checkVector("vector", vector);
      return readOne("fetchByVector", actor, op, (ref) => snapshots.get(ref, canonical, op));
    },

    fetchByLastEventId: async (actor, lastEventId, op = {}) => {
      checkText("lastEventId", "eventIdBytes", lastEventId);
      return readOne("fetchByLastEventId", actor, op, (ref) => snapshots.atEvent(ref, lastEventId, op));
    },

    fetchByLastEventDate: async (actor, lastEventDate, op = {}) => {
      const time = checkTime("lastEventDate", lastEventDate);
      return readOne("fetchByLastEventDate", actor, op, (ref) => snapshots.atTime(ref, time, op));
    },

    store: async (actor, snapshotId, vectorClock, state, op = {}) => {
      access.enter();
      const { row, own } = encodeSnapshot(type, snapshotId, vectorClock, state, codec);
      await storeSnapshot(await ownerOf(actor, own, op), row, op);
    },

    findAncestor: async (actor, siblings, ancestry = [], op = {}) => {
      if (!isArray(siblings)) throw invalid("siblings", `siblings is an array, as fetch gives it, ${got(siblings)}.`);
      if (!isArray(ancestry)) throw invalid("ancestry", `ancestry is an array of vector clocks, ${got(ancestry)}.`);
      const vectors = siblings.map(vectorOf);
      const excluded = new Set(ancestry.map((vector) => checkVector("ancestry", vector)));
      const ref = await resolve(actor, op);
      const walk = { read: readChain(ref, op), excluded, report: reportLinks(ref) };
      const shared = await findSharedVector(vectors, walk);
      if (shared === undefined) return undefined;
      const row = await access.read("actorStore.findAncestor", op, () => snapshots.get(ref, shared, op));
      return row === undefined ? undefined : decode(ref.systemId, row);
    },

    chain: async function* chain(actor, vector, op = {}) {
      const canonical = checkVector("vector", vector);
      const ref = await resolve(actor, op);
      yield* walkChain(canonical, { read: readChain(ref, op), excluded: new Set(), report: reportLinks(ref) });
    },

    links: async function* links(actor, op = {}) {
      yield* allLinks(await resolve(actor, op), op);
    },

    inspect: async (actor, op = {}) => {
      const ref = await resolve(actor, op);
      return toInspection(ref, await inspectLinks(allLinks(ref, op), LISTED_ANOMALIES));
    },

    mapIds: (systemId, actorId, op = {}) => identities.map(systemId, actorId, op),
    getSystemId: (actorId, asOf, op = {}) => identities.systemId(actorId, asOf, op),
    getActorId: (systemId, asOf, op = {}) => identities.actorId(systemId, asOf, op),
    identities: { resolve: identities.resolve },
  };
}

/** What is neither is refused as an actor id. */
function isNamedBySystemId(actor: ActorInput): actor is { readonly systemId: string } {
  return typeof actor === "object" && actor !== null;
}

function vectorOf(sibling: { readonly vector: string }): string {
  if (typeof sibling === "object" && sibling !== null) return checkVector("siblings[].vector", sibling.vector);
  throw invalid("siblings", `siblings are snapshots, or objects that have the vector of one, ${got(sibling)}.`);
}

function toInspection(actor: ActorRef, { snapshots, anomalies, more }: LinkInspection): ActorInspection {
  return {
    systemId: actor.systemId,
    snapshots,
    anomalies: anomalies.map((anomaly) => ({ ...anomaly, actor })),
    more,
  };
}

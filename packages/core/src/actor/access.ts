import type { StoredEvent } from "../adapter/append.ts";
import type { IdentityPort } from "../adapter/identities.ts";
import type { Operation } from "../adapter/operation.ts";
import type { PackPort } from "../adapter/packs.ts";
import type { EventIdQuery } from "../adapter/reads.ts";
import type { ActorRef, SnapshotPort } from "../adapter/snapshots.ts";
import type { Codec } from "../codec.ts";
import type { AppendRequest, AppendResult } from "../event.ts";
import { checkText, got, invalid } from "../store/requests.ts";
import type { FlakeGenerator } from "../values/flake.ts";

/** What actor stores and event stores work on: the store, or a transaction. */
export interface ActorAccess {
  readonly snapshots: SnapshotPort;
  readonly identities: IdentityPort;
  readonly packs: PackPort;
  readonly codec: Codec;
  readonly ids: FlakeGenerator;
  /** Marks the caller as inside the transaction, if it is one. Before the first `await` of what writes. */
  readonly enter: () => void;
  readonly read: <T>(name: string, op: Operation, work: () => Promise<T>) => Promise<T>;
  /** `keys` name what is locked to the end of the transaction. */
  readonly write: <T>(name: string, keys: readonly string[], work: () => Promise<T>) => Promise<T>;
  readonly readEventsById: (query: EventIdQuery, op: Operation) => Promise<readonly StoredEvent[]>;
  /** Appends what is not there yet. */
  readonly appendMissing: (request: AppendRequest, op: Operation) => Promise<AppendResult>;
}

export function checkActorType(actorType: string): string {
  return checkText("actorType", "aggregateTypeBytes", actorType);
}

export function checkOptions<T extends object | undefined>(options: T): T {
  if (options === undefined || (typeof options === "object" && options !== null)) return options;
  throw invalid("options", `options is an object, or left out, ${got(options)}.`);
}

/** An actor id or a system id. */
export function checkActorId(argument: "actorId" | "systemId" | "id", id: string): string {
  return checkText(argument, "aggregateIdBytes", id);
}

/** Names what storing a snapshot locks. No key of an aggregate begins with NUL. */
export function actorKey({ type, systemId }: ActorRef): string {
  return `\0actor\0${type}\0${systemId}`;
}

/** Names what mapping an id locks. */
export function identityKeys(type: string, systemId: string, actorId: string): readonly string[] {
  return [`\0system\0${type}\0${systemId}`, `\0identity\0${type}\0${actorId}`];
}

/** Names what storing a pack locks. */
export function packKey({ type, systemId }: ActorRef, vector: string): string {
  return `\0pack\0${type}\0${systemId}\0${vector}`;
}

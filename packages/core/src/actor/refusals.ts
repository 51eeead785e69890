import type { ActorRef } from "../adapter/snapshots.ts";
import { TidemarkError } from "../errors.ts";

/** Another state is stored with the vector. */
export function snapshotConflict({ type, systemId }: ActorRef, vector: string): TidemarkError<"SNAPSHOT_CONFLICT"> {
  return new TidemarkError(
    "SNAPSHOT_CONFLICT",
    `${type} ${JSON.stringify(systemId)} already has a snapshot with the vector ${JSON.stringify(vector)} and another ` +
      "state. Nothing was written. Two nodes may have the same id: give each one of its own. Else raise the vector by " +
      "your node before you store.",
    { actorType: type, systemId, vector },
  );
}

/** What the snapshot was made from was not said, and may be any of these. */
export function ancestorAmbiguous(
  { type, systemId }: ActorRef,
  heads: readonly string[],
): TidemarkError<"ANCESTOR_AMBIGUOUS"> {
  return new TidemarkError(
    "ANCESTOR_AMBIGUOUS",
    `${type} ${JSON.stringify(systemId)} has ${heads.length} siblings, so what the snapshot was made from must be said. ` +
      'Nothing was written. Set _ancestor in the state to the vector of the snapshot that it was made from, or to "" if it ' +
      "was made from none.",
    { actorType: type, systemId, heads },
  );
}

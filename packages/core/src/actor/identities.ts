import type { Operation } from "../adapter/operation.ts";
import { checkTime, got, invalid } from "../store/requests.ts";
import { type ActorAccess, checkActorId, identityKeys } from "./access.ts";

/** The ids of the actors of one type. */
export interface Identities {
  /**
   * The system id that `actorId` stands for now; where it stands for none, `mint` makes one, default a flake id, and they
   * are mapped. Of any number at once, in any number of processes, all get the same one; what else was minted is not used.
   * Takes business ids only: a system id would be taken for one, and get a system id of its own. Errors: INVALID_ARGUMENT and
   * LIMIT_EXCEEDED, also for what `mint` returns; what `mint` throws.
   */
  resolve(actorId: string, mint?: () => string, op?: Operation): Promise<string>;
}

/** Identities as an actor store needs them. */
export interface IdentityAccess extends Identities {
  systemId(actorId: string, asOf: Date | undefined, op: Operation): Promise<string | undefined>;
  actorId(systemId: string, asOf: Date | undefined, op: Operation): Promise<string | undefined>;
  map(systemId: string, actorId: string, op: Operation): Promise<void>;
}

export function createIdentities(type: string, access: ActorAccess): IdentityAccess {
  const { identities } = access;

  async function systemId(actorId: string, asOf: Date | undefined, op: Operation): Promise<string | undefined> {
    checkActorId("actorId", actorId);
    const time = momentOf(asOf);
    return access.read("actorStore.getSystemId", op, () => identities.systemId(type, actorId, time, op));
  }

  return {
    systemId,

    actorId: async (systemId, asOf, op) => {
      checkActorId("systemId", systemId);
      const time = momentOf(asOf);
      return access.read("actorStore.getActorId", op, () => identities.actorId(type, systemId, time, op));
    },

    map: async (systemId, actorId, op) => {
      access.enter();
      checkActorId("systemId", systemId);
      checkActorId("actorId", actorId);
      const keys = identityKeys(type, systemId, actorId);
      await access.write("actorStore.mapIds", keys, () => identities.map(type, systemId, actorId, op));
    },

    resolve: async (actorId, mint = access.ids, op = {}) => {
      access.enter();
      // Mostly it is there: found without a lock, and without an id minted for nothing.
      const found = await systemId(actorId, undefined, op);
      if (found !== undefined) return found;
      const minted = checkMinted(mint);
      return access.write("identities.resolve", identityKeys(type, minted, actorId), () =>
        identities.resolve(type, actorId, minted, op),
      );
    },
  };
}

function checkMinted(mint: () => string): string {
  if (typeof mint !== "function") {
    throw invalid("mint", `mint is a function that returns a new system id, ${got(mint)}.`);
  }
  const minted = mint();
  if (typeof minted === "string") return checkActorId("systemId", minted);
  throw invalid(
    "mint",
    `mint returns a new system id as a text, not a promise of one, ${got(minted)}. Await what it needs before you call ` +
      "resolve.",
  );
}

function momentOf(asOf: Date | undefined): number | undefined {
  return asOf === undefined ? undefined : checkTime("asOf", asOf);
}

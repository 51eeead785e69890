import type { ClaimRecords, ConsumerKey } from "@tidemark/core/spi";
import type { Tooth } from "../law.ts";
import { changeClaims } from "../observers.ts";

/** Broken records of claims. */

/** What a wrapper knows of a claim. */
interface Known {
  readonly tokens: string[];
  completed: boolean;
}

/** A store whose claims differ from the real ones; `known` is what has gone through this wrapper. */
export function claimsAs(
  lie: string,
  change: (claims: ClaimRecords, known: (consumer: ConsumerKey, key: string) => Known) => Partial<ClaimRecords>,
): Tooth {
  return {
    lie,
    adapter: (real) => {
      const all = new Map<string, Known>();
      const known = ({ name, version }: ConsumerKey, key: string): Known => {
        const id = JSON.stringify([name, version, key]);
        const claim = all.get(id) ?? { tokens: [], completed: false };
        all.set(id, claim);
        return claim;
      };
      const watched = changeClaims(real, (claims) => ({
        claim: async (consumer, key, claim, op) => {
          const outcome = await claims.claim(consumer, key, claim, op);
          if (outcome === "claimed") known(consumer, key).tokens.push(claim.token);
          return outcome;
        },
        complete: async (consumer, key, op) => {
          await claims.complete(consumer, key, op);
          known(consumer, key).completed = true;
        },
      }));
      return changeClaims(watched, (claims) => change(claims, known));
    },
  };
}

export const neverExpires: Tooth = claimsAs("keeps a claim for ever", (claims, known) => ({
  claim: async (consumer, key, claim, op) =>
    known(consumer, key).tokens.length > 0 ? "busy" : claims.claim(consumer, key, claim, op),
}));

/** As if keys, or names of consumers, that `alike` maps to the same text were the same. */
export function confuses(
  lie: string,
  alike: (consumer: ConsumerKey, key: string) => readonly [ConsumerKey, string],
): Tooth {
  return claimsAs(lie, (claims) => ({
    claim: (consumer, key, claim, op) => claims.claim(...alike(consumer, key), claim, op),
    complete: (consumer, key, op) => claims.complete(...alike(consumer, key), op),
    release: (consumer, key, token, op) => claims.release(...alike(consumer, key), token, op),
    sweep: (consumer, before, op) => claims.sweep(alike(consumer, "")[0], before, op),
  }));
}

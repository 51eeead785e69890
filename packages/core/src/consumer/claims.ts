import type { ClaimOutcome, ClaimRecords } from "../adapter/claims.ts";
import type { Operation } from "../adapter/operation.ts";
import { positive } from "../store/options.ts";
import { checkText, checkTime } from "../store/requests.ts";
import { type ConsumerInput, resolveConsumer } from "./name.ts";

export interface ClaimOptions extends Operation {
  /** Tells one claimant from another. */
  readonly token: string;
  /** How long it holds without being completed. */
  readonly ms: number;
}

/**
 * Two-phase claims of work, for each consumer by a key: claimed, then completed. Of concurrent claims one wins. One that
 * was never completed can be taken over after its expiry, a completed one never.
 */
export interface Claims {
  claim(consumer: ConsumerInput, key: string, options: ClaimOptions): Promise<ClaimOutcome>;
  /** Counts whoever says it, also after a takeover: what is done is done. */
  complete(consumer: ConsumerInput, key: string, op?: Operation): Promise<void>;
  /** Gives back a claim with this token that is not completed. Does nothing otherwise. */
  release(consumer: ConsumerInput, key: string, token: string, op?: Operation): Promise<void>;
  /** Forgets claims that were completed strictly before a moment. How many there were. */
  sweep(consumer: ConsumerInput, before: Date, op?: Operation): Promise<number>;
}

export function createClaims(
  records: ClaimRecords,
  call: <T>(name: string, writes: boolean, work: () => Promise<T>) => Promise<T>,
): Claims {
  const checkKey = (key: string): string => checkText("key", "claimKeyBytes", key);
  return {
    claim: async (consumer, key, { token, ms, ...op }) => {
      const claim = { token: checkText("token", "consumerNameBytes", token), ms: positive("ms", ms) };
      const of = resolveConsumer(consumer);
      return call("claims.claim", true, () => records.claim(of, checkKey(key), claim, op));
    },
    complete: async (consumer, key, op = {}) => {
      const of = resolveConsumer(consumer);
      await call("claims.complete", true, () => records.complete(of, checkKey(key), op));
    },
    release: async (consumer, key, token, op = {}) => {
      const of = resolveConsumer(consumer);
      await call("claims.release", true, () => records.release(of, checkKey(key), token, op));
    },
    sweep: async (consumer, before, op = {}) => {
      const of = resolveConsumer(consumer);
      return call("claims.sweep", true, () => records.sweep(of, checkTime("before", before), op));
    },
  };
}

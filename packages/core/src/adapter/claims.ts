import type { ConsumerKey } from "./consumers.ts";
import type { Operation } from "./operation.ts";

export type ClaimOutcome =
  /** It is ours to run. */
  | "claimed"
  /** It was completed before: do not run it. */
  | "done"
  /** Somebody else has claimed it and may be running it. */
  | "busy";

/**
 * Two-phase claims of events, per consumer and key: claimed, then completed. One that was never completed can be taken
 * over after its expiry, by the database's clock. Each call is a transaction of its own.
 */
export interface ClaimRecords {
  claim(
    consumer: ConsumerKey,
    key: string,
    claim: { readonly token: string; readonly ms: number },
    op: Operation,
  ): Promise<ClaimOutcome>;
  /** Whoever completes it, also after a takeover: what is done is done. Completing it again changes nothing. */
  complete(consumer: ConsumerKey, key: string, op: Operation): Promise<void>;
  /** Gives back a claim that is not completed and still has this token. */
  release(consumer: ConsumerKey, key: string, token: string, op: Operation): Promise<void>;
  /** Forgets claims completed strictly before `before` (milliseconds since 1970). How many there were. */
  sweep(consumer: ConsumerKey, before: number, op: Operation): Promise<number>;
}

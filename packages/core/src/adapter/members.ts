import type { ConsumerKey } from "./consumers.ts";
import type { Operation } from "./operation.ts";

/**
 * Who is there to run consumers: each worker says so again and again, and learns who else does. Expiry is by the
 * database's clock. Each call is one transaction of a few statements, however many consumers it is about. Members are no
 * locks: what a member may do, its zones say.
 */
export interface MemberRecords {
  /**
   * Keeps `member` alive for each of these consumers for `ms`, declared or not, and forgets those of theirs that have
   * expired. The members that are alive then, for each consumer, ascending by bytes; `member` is one of them. The list
   * for one consumer does not depend on who asks.
   */
  meet(
    consumers: readonly ConsumerKey[],
    member: string,
    ms: number,
    op: Operation,
  ): Promise<readonly (readonly string[])[]>;
  /** Forgets `member` for these consumers. Does nothing where it is not one. */
  leave(consumers: readonly ConsumerKey[], member: string, op: Operation): Promise<void>;
}

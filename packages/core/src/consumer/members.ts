import type { MemberRecords } from "../adapter/members.ts";
import type { Operation } from "../adapter/operation.ts";
import { positive } from "../store/options.ts";
import { checkText } from "../store/requests.ts";
import { type ConsumerInput, resolveConsumer } from "./name.ts";

export interface MeetOptions extends Operation {
  /** Tells one member from another: unique among all processes. */
  readonly member: string;
  /** How long the member counts as alive without being heard of again. */
  readonly ms: number;
}

/**
 * Who is there to run consumers, so that they can share segments. Only an announcement: what a member may do, its zones
 * say. Expiry is by the database's clock.
 */
export interface Members {
  /**
   * Says that a member is there for these consumers, and tells who else is: for each consumer the members that are
   * alive, ascending by bytes, the caller among them. One transaction, however many consumers.
   */
  meet(consumers: readonly ConsumerInput[], options: MeetOptions): Promise<readonly (readonly string[])[]>;
  /** Says that the member is gone. Does nothing where it is not known. */
  leave(consumers: readonly ConsumerInput[], member: string, op?: Operation): Promise<void>;
}

export function createMembers(
  records: MemberRecords,
  call: <T>(name: string, writes: boolean, work: () => Promise<T>) => Promise<T>,
): Members {
  const checkMember = (member: string): string => checkText("member", "consumerNameBytes", member);
  return {
    meet: async (consumers, { member, ms, ...op }) => {
      const keys = consumers.map(resolveConsumer);
      const [name, forMs] = [checkMember(member), positive("ms", ms)];
      return call("members.meet", true, () => records.meet(keys, name, forMs, op));
    },
    leave: async (consumers, member, op = {}) => {
      const keys = consumers.map(resolveConsumer);
      await call("members.leave", true, () => records.leave(keys, checkMember(member), op));
    },
  };
}

import type { ActorEvent, Snapshot } from "@tidemark/core";
import { type Account, replay } from "./account.ts";
import { healed } from "./heal.ts";
import type { Accounts } from "./open.ts";

export interface Loaded {
  readonly id: string;
  readonly account: Account;
  /** What the state was made from: the latest snapshot, and the events since. */
  readonly snapshot: Snapshot | undefined;
  readonly since: readonly ActorEvent[];
}

export async function load(accounts: Accounts, number: string): Promise<Loaded> {
  const id = await accounts.actors.identities.resolve(number); // minted when the account is new
  const found = await accounts.actors.fetch({ systemId: id });
  const snapshot = Array.isArray(found) ? await healed(accounts, found) : found;
  const since = await accounts.events.getEventsFor(id, snapshot?.lastEventId);
  return { id, account: replay(snapshot, since), snapshot, since };
}

import { heal, type Snapshot } from "@tidemark/core";
import { replay } from "./account.ts";
import type { Accounts } from "./open.ts";
import { storeSnapshot } from "./snapshot.ts";

/** Makes one of siblings, and stores it. */
export async function healed(accounts: Accounts, siblings: readonly Snapshot[]): Promise<Snapshot | undefined> {
  const healing = await heal(accounts, siblings, { node: accounts.node });
  const { systemId: id, ancestor, events: since, vector, lastEventId } = healing;
  await storeSnapshot(accounts, { id, account: replay(ancestor, since), vector, ancestor, since, lastEventId });
  return accounts.actors.fetchByVector({ systemId: id }, vector);
}

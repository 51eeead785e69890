import { type ActorEvent, createFlakeGenerator, isTidemarkError, LIMITS, type Snapshot } from "@tidemark/core";
import type { Account } from "./account.ts";
import type { Accounts } from "./open.ts";

const newSnapshotId = createFlakeGenerator();

export interface NewSnapshot {
  readonly id: string;
  readonly account: Account;
  readonly vector: string;
  /** What it was made from, by which events, of which this is the last. */
  readonly ancestor: Snapshot | undefined;
  readonly since: readonly ActorEvent[];
  readonly lastEventId: string | undefined;
}

/** The snapshot and the pack of its events, together. */
export async function storeSnapshot(accounts: Accounts, snapshot: NewSnapshot): Promise<void> {
  const { id, account, vector, ancestor, since, lastEventId } = snapshot;
  const state = { ...account, _id: id, _ancestor: ancestor?.vector ?? "", _lastEventId: lastEventId }; // "" for none
  try {
    await accounts.inTransaction(async (store) => {
      await (await store.actorStores.create("account")).store({ systemId: id }, newSnapshotId(), vector, state);
      if (since.length > LIMITS.eventsPerPack) return;
      await (await store.eventStores.create("account")).storeEventPack(id, vector, since);
    });
  } catch (error) {
    // Another command of this node was faster, with other events. Its snapshot will do.
    if (!isTidemarkError(error, "SNAPSHOT_CONFLICT")) throw error;
  }
}

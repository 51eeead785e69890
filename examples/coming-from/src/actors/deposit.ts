import { createFlakeGenerator, flakeTime, vectorClock } from "@tidemark/core";
import { replay } from "./account.ts";
import { type Loaded, load } from "./load.ts";
import type { Accounts } from "./open.ts";
import { storeSnapshot } from "./snapshot.ts";

const newEventId = createFlakeGenerator();
/** Longer than it takes to store an event, and than clocks differ. */
const SETTLED_MS = 10_000;
const FEWEST = 100;
const MOST = 5_000;

/** Who calls again after an error with the same `eventId` deposits once. */
export async function deposit(
  accounts: Accounts,
  number: string,
  amount: number,
  eventId: string = newEventId(),
): Promise<void> {
  const loaded = await load(accounts, number);
  if (loaded.account.owner === undefined) throw new Error(`There is no account ${number}.`);
  await snapshotNowAndThen(accounts, loaded);
  await accounts.events.storeEvents(loaded.id, [{ id: eventId, type: "deposited", data: { amount } }]);
}

/**
 * So that fewer events are to be read: what was loaded, as this node's next snapshot. Without the newest events: another
 * node may be about to store one whose id sorts before them.
 */
async function snapshotNowAndThen(accounts: Accounts, { id, snapshot, since }: Loaded): Promise<void> {
  const settledOn = new Date(Date.now() - SETTLED_MS);
  const settled = since.filter((event) => (flakeTime(event.id) ?? event.occurredOn) < settledOn).slice(0, MOST);
  if (settled.length < FEWEST) return;
  const vector = vectorClock.stringify(vectorClock.increment(snapshot?.vector ?? "", accounts.node));
  const lastEventId = settled.at(-1)?.id;
  const account = replay(snapshot, settled);
  await storeSnapshot(accounts, { id, account, vector, ancestor: snapshot, since: settled, lastEventId });
}

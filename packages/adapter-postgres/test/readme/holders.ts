import type { PostgresStore } from "@tidemark/adapter-postgres";

/** For your monitoring: who has held readers back for longer than that. */
export async function heldBackBy(store: PostgresStore, longerThanMs: number): Promise<readonly string[]> {
  const holders = await store.frontierHolders();
  return holders
    .filter(({ since }) => since === undefined || Date.now() - since.getTime() > longerThanMs)
    .map(({ session, application, position }) => `${application ?? "?"}, session ${session}: stops at ${position}`);
}

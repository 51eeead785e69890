import type { MysqlStore } from "@tidemark/adapter-mysql";

/** For your monitoring: who has held readers back for longer than that. */
export async function heldBackBy(store: MysqlStore, longerThanMs: number): Promise<readonly string[]> {
  const holders = await store.frontierHolders();
  return holders
    .filter(({ since }) => since === undefined || Date.now() - since.getTime() > longerThanMs)
    .map(({ session, position }) => `session ${session}: stops at ${position}`);
}

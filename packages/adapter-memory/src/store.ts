import { openStore, type Store } from "@tidemark/core";
import { createMemoryAdapter } from "./adapter.ts";
import type { MemoryTransaction } from "./memory-transaction.ts";
import type { MemoryStoreOptions } from "./options.ts";

/** Opens a store in memory: on a new database, or on one that it shares with others. Errors: INVALID_ARGUMENT. */
export async function createMemoryStore(options: MemoryStoreOptions = {}): Promise<Store<MemoryTransaction>> {
  return openStore(createMemoryAdapter(options), options);
}

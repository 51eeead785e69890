export { createMemoryAdapter } from "./adapter.ts";
export { memoryCapabilities } from "./capabilities.ts";
export { createMemoryDatabase, type MemoryDatabase, type MemoryDatabaseOptions } from "./database.ts";
export type { MemoryRows, MemoryTable, MemoryTransaction } from "./memory-transaction.ts";
export type { MemoryAdapterOptions, MemoryStoreOptions } from "./options.ts";
export { createMemoryStore } from "./store.ts";

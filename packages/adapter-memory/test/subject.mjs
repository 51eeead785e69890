// @ts-check
import { createMemoryAdapter, createMemoryDatabase, memoryCapabilities } from "@tidemark/adapter-memory";

/** @typedef {import("@tidemark/adapter-memory").MemoryTransaction} MemoryTransaction */

const TABLE = "effects";

/**
 * The memory adapter as the conformance suite sees it.
 * @type {import("@tidemark/conformance").Subject<MemoryTransaction>}
 */
export const memory = {
  name: "memory",
  capabilities: memoryCapabilities,
  create: async () => {
    const database = createMemoryDatabase();
    return {
      adapter: () => createMemoryAdapter({ database }),
      effects: {
        write: (tx, key, value) => tx.table(TABLE).set(key, value),
        read: (key) => database.table(TABLE).get(key),
        // What cannot be cloned cannot be stored.
        fail: (tx) => tx.table(TABLE).set("fail", () => undefined),
        // A table is there as soon as it has a row.
        define: (tx, table) => tx.table(table).set("first", "row"),
        defined: async (table) => (await database.table(table).entries()).size > 0,
        end: async (tx, how) => (how === "commit" ? tx.commit() : tx.rollback()),
      },
      begin: async () => {
        const tx = database.begin();
        const rollback = async () => tx.rollback();
        return { tx, commit: async () => tx.commit(), rollback, kill: rollback };
      },
      drop: async () => undefined,
    };
  },
};

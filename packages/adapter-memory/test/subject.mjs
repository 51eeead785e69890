// @ts-check
import { createMemoryAdapter, createMemoryDatabase, memoryCapabilities } from "@tidemark/adapter-memory";

/** @typedef {import("@tidemark/adapter-memory").MemoryTransaction} MemoryTransaction */

/** @typedef {import("@tidemark/adapter-memory").MemoryDatabase} MemoryDatabase */

const TABLE = "effects";

/**
 * The memory adapter as the conformance suite sees it.
 * @type {import("@tidemark/conformance").Subject<MemoryTransaction>}
 */
export const memory = {
  name: "memory",
  capabilities: memoryCapabilities,
  server: false,
  create: async () => {
    const database = createMemoryDatabase();
    return {
      adapter: () => createMemoryAdapter({ database }),
      borrow: async () => borrow(database),
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

/**
 * A database that its owner can put away, which is nothing that memory does by itself.
 * @param {MemoryDatabase} database
 * @returns {Promise<import("@tidemark/conformance").Borrowed<MemoryTransaction>>}
 */
async function borrow(database) {
  let isThere = true;
  return {
    adapter: createMemoryAdapter({ database }),
    use: async () => {
      if (!isThere) throw new Error("The database was put away.");
      const tx = database.begin();
      await tx.table(TABLE).set("borrowed", "used");
      await tx.commit();
    },
    end: async () => void (isThere = false),
  };
}

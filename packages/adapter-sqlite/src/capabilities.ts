import type { Capabilities } from "@tidemark/core/spi";

/** Of a database in a file. */
export const sqliteCapabilities: Capabilities = Object.freeze({
  durable: true,
  shared: true,
  concurrentWriters: false,
  revocableTx: true,
  transactionalDdl: true,
  wakeups: false,
});

/** With one connection to a database in memory there is nothing to share and nothing that outlasts the process. */
export const sqliteMemoryCapabilities: Capabilities = Object.freeze({
  ...sqliteCapabilities,
  durable: false,
  shared: false,
});

import type { Capabilities } from "@tidemark/core";

/** What this adapter can do, in the sense of the conformance suite. */
export const memoryCapabilities: Capabilities = Object.freeze({
  durable: false,
  shared: false,
  concurrentWriters: true,
  revocableTx: true,
  transactionalDdl: true,
  wakeups: false,
});

import type { Capabilities } from "@tidemark/core/spi";
import type { ResolvedOptions } from "./options.ts";

/** With the default ordering. */
export const mysqlCapabilities: Capabilities = Object.freeze({
  durable: true,
  shared: true,
  concurrentWriters: true,
  revocableTx: true,
  // Statements that make tables commit.
  transactionalDdl: false,
  wakeups: false,
});

/** With `ordering: "counter"`. */
export const mysqlCounterCapabilities: Capabilities = Object.freeze({ ...mysqlCapabilities, concurrentWriters: false });

export function capabilitiesOf({ ordering }: Pick<ResolvedOptions, "ordering">): Capabilities {
  return ordering === "counter" ? mysqlCounterCapabilities : mysqlCapabilities;
}

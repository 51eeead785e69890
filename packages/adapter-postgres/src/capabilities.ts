import type { Capabilities } from "@tidemark/core/spi";
import type { ResolvedOptions } from "./options.ts";

/** With the default ordering. */
export const postgresCapabilities: Capabilities = Object.freeze({
  durable: true,
  shared: true,
  concurrentWriters: true,
  revocableTx: true,
  transactionalDdl: true,
  wakeups: false,
});

/** With `notify`. */
export const postgresNotifyCapabilities: Capabilities = Object.freeze({ ...postgresCapabilities, wakeups: true });

/** With `ordering: "counter"`. */
export const postgresCounterCapabilities: Capabilities = Object.freeze({
  ...postgresCapabilities,
  concurrentWriters: false,
});

export function capabilitiesOf({ ordering, notify }: Pick<ResolvedOptions, "ordering" | "notify">): Capabilities {
  const capabilities = ordering === "counter" ? postgresCounterCapabilities : postgresCapabilities;
  return notify ? Object.freeze({ ...capabilities, wakeups: true }) : capabilities;
}

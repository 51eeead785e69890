import { TidemarkError } from "@tidemark/core";
import type { Adapter, ConsumerRecords, Fence, Operation, TransactionPort, ZoneRecords } from "@tidemark/core/spi";
import { override } from "./law.ts";

/** What databases and processes do to consumers: changes below a store, and the seams at which lies are told too. */

/** An adapter with some of its zone calls changed. */
export function changeZones<Tx>(real: Adapter<Tx>, change: (zones: ZoneRecords) => Partial<ZoneRecords>): Adapter<Tx> {
  return override(real, () => ({ zones: override(real.zones, change) }));
}

/** An adapter with some of its record calls changed. */
export function changeRecords<Tx>(
  real: Adapter<Tx>,
  change: (records: ConsumerRecords) => Partial<ConsumerRecords>,
): Adapter<Tx> {
  return override(real, () => ({ consumers: override(real.consumers, change) }));
}

/** An adapter whose fence is another one. */
export function changeFence<Tx>(
  real: Adapter<Tx>,
  fence: (port: TransactionPort, fence: Fence, op: Operation) => Promise<boolean>,
): Adapter<Tx> {
  return override(real, () => ({
    within: (tx) => override(real.within(tx), (port) => ({ fence: (given, op) => fence(port, given, op) })),
  }));
}

/** A holder that does not notice its lease running out: only the fence stands between it and a late commit. */
export function unaware<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  return changeZones(real, () => ({ renew: async () => true }));
}

/** A holder that is gone without a word: it neither renews its lease nor ends it. */
export function vanishing<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  return changeZones(real, () => ({ renew: async () => true, leave: async () => undefined }));
}

/** Where the transaction of a consumer can be cut off, in the order in which it gets there. */
export const CRASH_STEPS = ["before-handler", "after-effect", "after-fence", "after-commit"] as const;
export type CrashStep = (typeof CRASH_STEPS)[number];

/** Calls `crash`, which never returns, where the adapter gets to `step`. The first two steps are in handlers. */
export function crashingAt<Tx>(real: Adapter<Tx>, step: string, crash: () => void): Adapter<Tx> {
  const fenced = changeFence(real, async (port, fence, op) => {
    const moved = await port.fence(fence, op);
    if (step === "after-fence") crash();
    return moved;
  });
  return override(fenced, () => ({
    transaction: async (work, op) => {
      const result = await real.transaction(work, op);
      if (step === "after-commit") crash();
      return result;
    },
  }));
}

/** What a lost connection looks like to core. */
export function unavailable(): TidemarkError<"UNAVAILABLE"> {
  return new TidemarkError("UNAVAILABLE", "The connection is gone, because the law says so.", {
    adapter: "conformance",
  });
}

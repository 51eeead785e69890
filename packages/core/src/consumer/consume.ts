import { invalid } from "../store/requests.ts";
import type { Store } from "../store/store.ts";
import type { ConsumerState } from "./consumers.ts";
import { consumerLabel } from "./name.ts";
import { type AnyConsumer, defineConsumer, runInZone, type RunOptions, type RunResult } from "./run-in-zone.ts";
import type { EnterOptions } from "./zone.ts";

export interface ConsumeOptions extends RunOptions, Pick<EnterOptions, "leaseMs" | "owner"> {
  /** Which segment of a consumer that has several. */
  readonly segment?: number | undefined;
}

/** How a cycle of consuming ended. */
export type ConsumeResult =
  /** Somebody else holds the zone. Nothing was touched. */
  { readonly kind: "busy" } | RunResult;

/**
 * One cycle of a consumer: declares it, enters its zone, carries out what was asked for its dead letters, handles
 * events until it has caught up, leaves. When the consumer is on its way to another number of segments, it stops where
 * all its segments have to, and writes the new layout if it is the last one there.
 *
 * Projectors and sagas: each batch is one transaction in the store, so effects through `context.tx`, appended events,
 * saga states, dead letters and the checkpoint are committed together or not at all. When an event fails, what stood
 * before it is committed, and it is tried again alone, then stopped at, skipped or parked. Observers: handlers run side
 * by side, those of one aggregate in order; the checkpoint is the highest position below which all are done.
 *
 * Transient failures are waited out without moving the checkpoint; when they last, the call rejects with them.
 */
export async function consume<Tx>(
  store: Store<Tx>,
  consumer: AnyConsumer<Tx>,
  options: ConsumeOptions = {},
): Promise<ConsumeResult> {
  const defined = defineConsumer(consumer);
  const { log = store, leaseMs, owner, signal } = options;
  const { key, kind, start, segments } = defined;
  const state = await store.consumers.declare(key, { kind, start, segments, log, signal });
  const segment = options.segment ?? onlySegment(state);
  const zone = await store.enterZone(key, { segment, leaseMs, owner, log, signal });
  if (zone === undefined) return { kind: "busy" };
  try {
    const result = await runInZone(store, defined, zone, options);
    if (result.kind !== "until") return result;
    // What fails here is done by the next cycle.
    await zone.leave().catch(() => undefined);
    await store.consumers.finishResegment(key).catch(() => undefined);
    return result;
  } finally {
    // A zone that cannot be left runs out by itself. What ended the cycle is what the caller has to know.
    await zone.leave().catch(() => undefined);
  }
}

function onlySegment({ name, version, segments }: ConsumerState): number {
  if (segments.length <= 1) return 0;
  throw invalid(
    "segment",
    `${consumerLabel({ name, version })} has ${segments.length} segments. Say which one by { segment }, from 0, or have ` +
      "@tidemark/worker run them all.",
  );
}

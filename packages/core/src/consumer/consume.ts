import type { Operation } from "../adapter/operation.ts";
import { positive } from "../store/options.ts";
import type { EventSource, Store } from "../store/store.ts";
import type { Position } from "../values/position.ts";
import { Cycle } from "./cycle.ts";
import type { Observe } from "./observation.ts";
import type { Executor, Observer } from "./observer.ts";
import { ObserverCycle } from "./observer-cycle.ts";
import { asProjector, type Projector, type ScopedConsumer } from "./projector.ts";
import type { SagaConsumer } from "./saga.ts";
import type { EnterOptions } from "./zone.ts";

export interface ConsumeOptions extends Operation, Pick<EnterOptions, "leaseMs" | "owner"> {
  /** Where the events are. Default: the store, which holds the checkpoint. */
  readonly log?: EventSource | undefined;
  /** Events that are read at once, at most; for projectors and sagas also those of one transaction. Default 500. */
  readonly fetchSize?: number | undefined;
  /** Stop after this many events. Default: when caught up. */
  readonly maxEvents?: number | undefined;
  /** Only carry out what was asked for dead letters, and read nothing. Default false. */
  readonly deadLettersOnly?: boolean | undefined;
  /** Runs observers' handlers. Default: at once, in this process. */
  readonly executor?: Executor | undefined;
  /** Called once for each event that the consumer is through with. */
  readonly observe?: Observe | undefined;
}

/** How a cycle of consuming ended. `handled` counts events that were handled, `position` is the checkpoint. */
export type ConsumeResult =
  /** Somebody else holds the zone. Nothing was touched. */
  | { readonly kind: "busy" }
  /** Everything up to the head was handled, skipped or parked. */
  | { readonly kind: "caught-up"; readonly handled: number; readonly position: Position }
  /** `maxEvents` were handled. */
  | { readonly kind: "limit"; readonly handled: number; readonly position: Position }
  /** The signal fired. What was handled is committed. */
  | { readonly kind: "aborted"; readonly handled: number; readonly position: Position }
  | { readonly kind: "disabled"; readonly handled: number; readonly position: Position }
  /** The executor refused a task, which never ran. */
  | { readonly kind: "rejected"; readonly handled: number; readonly position: Position }
  /** The zone was lost. What was under way does not count. */
  | { readonly kind: "zone-lost"; readonly handled: number; readonly position: Position }
  /** An event failed for good under policy `"stop"`: the first one after `position` that the consumer gets. */
  | { readonly kind: "stopped"; readonly handled: number; readonly position: Position; readonly error: unknown };

/** Everything that can be consumed. A plain object with `name` and `handle` is a projector that stops at a failure. */
export type AnyConsumer<Tx> = Projector<Tx> | Observer | SagaConsumer<Tx> | ScopedConsumer<Tx>;

/**
 * One cycle of a consumer: declares it, enters its zone, carries out what was asked for its dead letters, handles
 * events until it has caught up, leaves.
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
  const defined = "kind" in consumer ? consumer : asProjector(consumer);
  const { log = store, leaseMs, owner, signal, observe, executor } = options;
  const fetchSize = positive("fetchSize", options.fetchSize ?? 500);
  const maxEvents = positive("maxEvents", options.maxEvents ?? 0x7fff_ffff);
  const { key, kind, start } = defined;
  const deadLettersOnly = options.deadLettersOnly ?? false;
  await store.consumers.declare(key, { kind, start, log, signal });
  const zone = await store.enterZone(key, { leaseMs, owner, log, signal });
  if (zone === undefined) return { kind: "busy" };
  const parts = { store, log, zone, fetchSize, maxEvents, deadLettersOnly, signal, observe, executor };
  try {
    return await (defined.kind === "observer" ? new ObserverCycle(defined, parts) : new Cycle(defined, parts)).run();
  } finally {
    // A zone that cannot be left runs out by itself. What ended the cycle is what the caller has to know.
    await zone.leave().catch(() => undefined);
  }
}

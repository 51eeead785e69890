import type { Operation } from "../adapter/operation.ts";
import { positive } from "../store/options.ts";
import { invalid } from "../store/requests.ts";
import type { EventSource, Store } from "../store/store.ts";
import { isPosition, type Position } from "../values/position.ts";
import type { ConsumerSight } from "./consumers.ts";
import { Cycle } from "./cycle.ts";
import { consumerLabel } from "./name.ts";
import type { Observe } from "./observation.ts";
import type { Executor, Observer } from "./observer.ts";
import { ObserverCycle } from "./observer-cycle.ts";
import type { ReadPage } from "./outlook.ts";
import { asProjector, type Projector, type ScopedConsumer } from "./projector.ts";
import type { SagaConsumer } from "./saga.ts";
import type { Zone } from "./zone.ts";

export interface RunOptions extends Operation {
  /** Where the events are. Default: the store, which holds the checkpoint. */
  readonly log?: EventSource | undefined;
  /** Events that are read at once, at most; for projectors and sagas also those of one transaction. Default 500. */
  readonly fetchSize?: number | undefined;
  /** Stop after this many events. Default: when caught up. */
  readonly maxEvents?: number | undefined;
  /** Only carry out what was asked for dead letters, and read nothing. Default false. */
  readonly deadLettersOnly?: boolean | undefined;
  /**
   * Stop exactly here: nothing past it is handled, and the checkpoint does not pass it. A position that the log has
   * given. Default: none, unless the consumer is on its way to another number of segments.
   */
  readonly until?: Position | undefined;
  /** What handlers get as `context.live`. Default: whether this version is the active one. */
  readonly live?: boolean | ((position: Position) => boolean) | undefined;
  /**
   * Reads pages in the place of the log's `readAll`, with the same promise. A page may have more events than asked for.
   * Its events must be nobody else's: a handler may change them.
   */
  readonly read?: ReadPage | undefined;
  /**
   * What is known of the consumer, asked for before each batch. Default: one query of `consumers.look`. What it does not
   * know yet, such as that the consumer was disabled, takes effect when it does.
   */
  readonly look?: (() => Promise<ConsumerSight | undefined>) | undefined;
  /** Runs observers' handlers. Default: at once, in this process. */
  readonly executor?: Executor | undefined;
  /** Called once for each event that the consumer is through with. */
  readonly observe?: Observe | undefined;
}

/** How a cycle in a zone ended. `handled` counts events that were handled, `position` is the checkpoint. */
export type RunResult =
  /** Everything up to the head was handled, skipped or parked. */
  | { readonly kind: "caught-up"; readonly handled: number; readonly position: Position }
  /** `maxEvents` were handled. */
  | { readonly kind: "limit"; readonly handled: number; readonly position: Position }
  /**
   * The checkpoint is at `until`, or where the segment has to stop before the consumer's number of segments changes: then
   * leave the zone and call `consumers.finishResegment`.
   */
  | { readonly kind: "until"; readonly handled: number; readonly position: Position }
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
 * One cycle of a consumer in a zone of its that the caller holds and keeps: what `consume` does between entering and
 * leaving. It gets the events of the zone's segment. Call it again and again, one at a time; after `"zone-lost"` the
 * zone is of no use any more.
 */
export async function runInZone<Tx>(
  store: Store<Tx>,
  consumer: AnyConsumer<Tx>,
  zone: Zone<Tx>,
  options: RunOptions = {},
): Promise<RunResult> {
  const defined = defineConsumer(consumer);
  const { log = store, signal, observe, executor, until, live, read, look } = options;
  if (zone.consumer.name !== defined.key.name || zone.consumer.version !== defined.key.version) {
    throw invalid("zone", `This is the zone of ${consumerLabel(zone.consumer)}, not of ${consumerLabel(defined.key)}.`);
  }
  if (until !== undefined && !isPosition(until)) {
    throw invalid("until", `until is a position, a bigint that a page, a result or head() gave; got ${String(until)}.`);
  }
  const parts = {
    store,
    log,
    zone,
    fetchSize: positive("fetchSize", options.fetchSize ?? 500),
    maxEvents: positive("maxEvents", options.maxEvents ?? 0x7fff_ffff),
    deadLettersOnly: options.deadLettersOnly ?? false,
    until,
    live,
    read,
    look,
    signal,
    observe,
    executor,
  };
  return (defined.kind === "observer" ? new ObserverCycle(defined, parts) : new Cycle(defined, parts)).run();
}

/** The consumer with everything about it decided. A plain object is checked as {@link defineProjector} does. */
export function defineConsumer<Tx>(consumer: AnyConsumer<Tx>): Projector<Tx> | Observer | SagaConsumer<Tx> {
  return "kind" in consumer ? consumer : asProjector(consumer);
}

import type { Adapter } from "../adapter/adapter.ts";
import type { ConsumerKey, ConsumerRow } from "../adapter/consumers.ts";
import type { Operation } from "../adapter/operation.ts";
import { TidemarkError } from "../errors.ts";
import { invalid, isSegmentCount } from "../store/requests.ts";
import type { EventSource } from "../store/store.ts";
import { BUCKETS } from "../values/aggregate.ts";
import { type ConsumerInput, consumerLabel, resolveConsumer } from "./name.ts";
import { refuseOtherLog, unknownConsumer } from "./refusals.ts";

export interface ResegmentOptions extends Operation {
  /** The log that the consumer reads. Default: the store itself. */
  readonly log?: EventSource | undefined;
}

/** Splitting a consumer into more segments, and merging it into fewer. */
export interface Layouts {
  /**
   * Asks for another number of segments: a power of two, at most 1024. From now on every segment stops at one position,
   * the head of the log as of now; once all have, {@link finishResegment} writes the new layout, which everyone who
   * consumes tries after stopping there. Asking for the same again changes nothing; so does asking for what it has.
   *
   * Errors: RESEGMENTING when another number was asked for, CONSUMER_UNKNOWN, LOG_MISMATCH, INVALID_ARGUMENT, also for
   * a saga, which has one segment.
   */
  resegment(consumer: ConsumerInput, segments: number, options?: ResegmentOptions): Promise<void>;
  /** Takes back what was asked for and is not written yet. Errors: CONSUMER_UNKNOWN. */
  cancelResegment(consumer: ConsumerInput, op?: Operation): Promise<void>;
  /**
   * Writes the layout that was asked for, in one transaction, if every segment has stopped and nobody holds one.
   * `"held"` and `"not-drained"` say that this is not so yet, `"none"` that nothing is asked for, or not any more.
   * Errors: CONSUMER_UNKNOWN.
   */
  finishResegment(consumer: ConsumerInput, op?: Operation): Promise<"done" | "held" | "not-drained" | "none">;
}

export interface LayoutsParts {
  readonly adapter: Pick<Adapter<never>, "consumers">;
  readonly log: EventSource;
  readonly call: <T>(name: string, writes: boolean, work: () => Promise<T>) => Promise<T>;
}

export function createLayouts({ adapter, log, call }: LayoutsParts): Layouts {
  const records = adapter.consumers;
  return {
    resegment: async (consumer, segments, op = {}) => {
      const key = resolveConsumer(consumer);
      checkSegments(segments);
      await call("consumers.resegment", true, async () => {
        const row = await records.get(key, op);
        if (row?.kind === undefined) throw unknownConsumer(key);
        if (row.kind === "saga") refuseSegments(row.kind, segments);
        const source = op.log ?? log;
        refuseOtherLog(row, source.logId);
        if (row.layout === undefined && row.segments.length === segments) return;
        // No checkpoint is past the head, and whoever goes past it before having learned of this takes the others along.
        const outcome = await records.requestLayout(key, { segments, position: await source.head(op) }, op);
        if (outcome === "unknown") throw unknownConsumer(key);
        if (outcome === "other") throw resegmenting(key, await records.get(key, op));
      });
    },
    cancelResegment: async (consumer, op = {}) => {
      const key = resolveConsumer(consumer);
      const outcome = await call("consumers.cancelResegment", true, () => records.requestLayout(key, undefined, op));
      if (outcome === "unknown") throw unknownConsumer(key);
    },
    finishResegment: async (consumer, op = {}) => {
      const key = resolveConsumer(consumer);
      const outcome = await call("consumers.finishResegment", true, () => records.applyLayout(key, op));
      if (outcome === "unknown") throw unknownConsumer(key);
      return outcome;
    },
  };
}

/** Throws INVALID_ARGUMENT for what is not a number of segments. */
export function checkSegments(segments: number): number {
  if (isSegmentCount(segments)) return segments;
  throw invalid("segments", `segments is a power of two up to ${BUCKETS}, got ${String(segments)}.`);
}

/** Sagas are found across aggregates, so that no part of the log could be one saga's alone. */
export function refuseSegments(kind: "saga", segments: number): void {
  if (segments !== 1) throw invalid("segments", `A ${kind} has one segment: its events come in the order of the log.`);
}

function resegmenting(key: ConsumerKey, row: ConsumerRow | undefined): TidemarkError<"RESEGMENTING"> {
  const consumer = consumerLabel(key);
  const segments = row?.layout?.segments ?? row?.segments.length ?? 0;
  return new TidemarkError(
    "RESEGMENTING",
    `${consumer} is on its way to ${segments} segment(s) already. Let it get there, or take that back by ` +
      "consumers.cancelResegment, then call again.",
    { consumer, segments },
  );
}

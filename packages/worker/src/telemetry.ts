import type { Attributes, Context, Counter, Histogram, Link, Span, Tracer } from "@opentelemetry/api";
import type { Observation, Observe, RecordedEvent, Zone } from "@tidemark/core";
import { type Instrument, instrumented } from "./instrumented.ts";
import type { Defined } from "./options.ts";
import type { SegmentEnd } from "./segment-run.ts";
import { type Api, appenderOf } from "./trace-context.ts";

/** What is told of one consumer. */
export interface ConsumerTelemetry<Tx> {
  /** The consumer with its handlers in spans, and the zone with its batches in spans: for one segment. */
  readonly segment: (zone: Zone<Tx>) => { readonly consumer: Defined<Tx>; readonly zone: Zone<Tx> };
  readonly observe: Observe | undefined;
  readonly changed: (change: "entered" | SegmentEnd) => void;
}

/** Nothing is told but to `observe`. */
export function noTelemetry<Tx>(consumer: Defined<Tx>, observe: Observe | undefined): ConsumerTelemetry<Tx> {
  return { segment: (zone) => ({ consumer, zone }), observe, changed: () => undefined };
}

interface Instruments {
  readonly tracer: Tracer;
  readonly batchEvents: Histogram;
  readonly batchSeconds: Histogram;
  readonly events: Counter;
  readonly failures: Counter;
  readonly zones: Counter;
}

/** Links of one span to the traces of its events, at most. */
const MOST_LINKS = 100;

/** Spans and metrics by OpenTelemetry. What handlers are given is not touched. */
export function createTelemetry<Tx>(
  api: Api,
  worker: string,
): (consumer: Defined<Tx>, observe: Observe | undefined) => ConsumerTelemetry<Tx> {
  const instruments = createInstruments(api);
  return (consumer, observe) => telemetryOf(api, instruments, worker, consumer, observe);
}

function createInstruments(api: Api): Instruments {
  const meter = api.metrics.getMeter("@tidemark/worker");
  return {
    tracer: api.trace.getTracer("@tidemark/worker"),
    batchEvents: meter.createHistogram("tidemark.batch.events", { description: "Events of a batch" }),
    batchSeconds: meter.createHistogram("tidemark.batch.duration", { description: "Duration of a batch", unit: "s" }),
    events: meter.createCounter("tidemark.events", {
      description: "Events that consumers are through with, by outcome",
    }),
    failures: meter.createCounter("tidemark.handler.failures", { description: "Runs of handlers that failed" }),
    zones: meter.createCounter("tidemark.zone.changes", { description: "Segments that were entered and left" }),
  };
}

function telemetryOf<Tx>(
  api: Api,
  instruments: Instruments,
  worker: string,
  consumer: Defined<Tx>,
  observe: Observe | undefined,
): ConsumerTelemetry<Tx> {
  const { tracer } = instruments;
  const { name, version } = consumer.key;
  const about: Attributes = { "tidemark.consumer": name, "tidemark.consumer.version": version };

  async function inSpan<T>(span: Span, context: Context, work: () => Promise<T>): Promise<T> {
    try {
      return await api.context.with(api.trace.setSpan(context, span), work);
    } catch (error) {
      span.setStatus({ code: api.SpanStatusCode.ERROR });
      if (error instanceof Error) span.recordException(error);
      throw error;
    } finally {
      span.end();
    }
  }

  /** Within the trace of the append where there is one, linked to the batch; else within the batch. */
  async function handle(
    events: readonly RecordedEvent[],
    label: string,
    work: () => Promise<unknown>,
  ): Promise<unknown> {
    const active = api.context.active();
    const batch = api.trace.getSpanContext(active);
    const [only] = events;
    const appender = events.length === 1 && only !== undefined ? appenderOf(api, only.metadata) : undefined;
    const links: Link[] = appender !== undefined && batch !== undefined ? [{ context: batch }] : [];
    if (events.length > 1) {
      for (const event of events.slice(0, MOST_LINKS)) {
        const context = appenderOf(api, event.metadata);
        if (context !== undefined) links.push({ context });
      }
    }
    const parent = appender === undefined ? active : api.trace.setSpanContext(active, appender);
    const attributes: Attributes = {
      ...about,
      "tidemark.events": events.length,
      ...(only !== undefined && {
        "tidemark.position": only.position.toString(),
        "tidemark.aggregate.type": only.aggregate.type,
      }),
    };
    const span = tracer.startSpan(`${name} ${label}`, { kind: api.SpanKind.CONSUMER, attributes, links }, parent);
    try {
      return await inSpan(span, parent, work);
    } catch (error) {
      instruments.failures.add(1, about);
      throw error;
    }
  }

  /** `batch` counts the events of the one that is under way: a zone has one at a time. */
  function zoneOf(zone: Zone<Tx>, batch: { events: number }): Zone<Tx> {
    if (consumer.kind === "observer") return zone;
    const commit: Zone<Tx>["commit"] = async (work, options) => {
      const active = api.context.active();
      const attributes: Attributes = { ...about, "tidemark.segment": zone.segment, "tidemark.worker": worker };
      const span = tracer.startSpan(`${name} batch`, { attributes }, active);
      batch.events = 0;
      const startedAt = performance.now();
      try {
        return await inSpan(span, active, () => zone.commit(work, options));
      } finally {
        if (batch.events > 0) {
          instruments.batchEvents.record(batch.events, about);
          instruments.batchSeconds.record((performance.now() - startedAt) / 1_000, about);
        }
      }
    };
    return withCommit(zone, commit);
  }

  return {
    segment: (zone) => {
      const batch = { events: 0 };
      const counted: Instrument = (events, label, work) => {
        batch.events += events.length;
        return handle(events, label, work);
      };
      return { consumer: instrumented(consumer, counted), zone: zoneOf(zone, batch) };
    },
    observe: (observation: Observation) => {
      instruments.events.add(1, { ...about, "tidemark.outcome": observation.outcome });
      return observe?.(observation);
    },
    changed: (change) => instruments.zones.add(1, { ...about, "tidemark.change": change }),
  };
}

/** The zone itself in everything else. */
function withCommit<Tx>(zone: Zone<Tx>, commit: Zone<Tx>["commit"]): Zone<Tx> {
  return {
    consumer: zone.consumer,
    generation: zone.generation,
    segments: zone.segments,
    segment: zone.segment,
    token: zone.token,
    get position() {
      return zone.position;
    },
    get enabled() {
      return zone.enabled;
    },
    signal: zone.signal,
    commit,
    leave: () => zone.leave(),
    [Symbol.asyncDispose]: () => zone.leave(),
  };
}

import { createRequire } from "node:module";
import type { EventMetadata } from "@tidemark/core";
import type * as OpenTelemetry from "@opentelemetry/api";

export type Api = typeof OpenTelemetry;

/** The W3C trace context as it is kept in an event's metadata. */
export interface TraceContext {
  readonly traceparent: string;
  readonly tracestate?: string | undefined;
}

let loaded: { readonly api: Api | undefined } | undefined;

/** `@opentelemetry/api`, where it is installed. What is registered in it is global, whichever copy this is. */
export function openTelemetry(): Api | undefined {
  loaded ??= { api: load() };
  return loaded.api;
}

/**
 * The metadata, and with it the trace that is under way: append with it, and the spans of the handlers that get the event
 * continue that trace. Without `@opentelemetry/api`, or outside of a trace, the metadata as they are.
 */
export function traced(metadata: EventMetadata = {}): EventMetadata {
  const api = openTelemetry();
  const span = api?.trace.getSpanContext(api.context.active());
  if (api === undefined || span === undefined || !api.isSpanContextValid(span)) return metadata;
  const flags = span.traceFlags.toString(16).padStart(2, "0");
  const tracestate = span.traceState?.serialize();
  return {
    ...metadata,
    traceparent: `00-${span.traceId}-${span.spanId}-${flags}`,
    ...(tracestate !== undefined && tracestate !== "" && { tracestate }),
  };
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;

/** The span that appended the event, from its metadata; undefined when that names none. */
export function appenderOf(api: Api, metadata: EventMetadata): OpenTelemetry.SpanContext | undefined {
  const { traceparent, tracestate } = metadata;
  const match = typeof traceparent === "string" ? TRACEPARENT.exec(traceparent) : null;
  const [, traceId, spanId, flags] = match ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const context: OpenTelemetry.SpanContext = {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
    ...(typeof tracestate === "string" && { traceState: api.createTraceState(tracestate) }),
  };
  return api.isSpanContextValid(context) ? context : undefined;
}

function load(): Api | undefined {
  try {
    return asApi(createRequire(import.meta.url)("@opentelemetry/api"));
  } catch {
    return undefined;
  }
}

/** What the package of that name exports. */
function asApi(module: unknown): Api {
  return module as Api;
}

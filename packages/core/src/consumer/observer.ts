import type { RecordedEvent } from "../event.ts";
import { positive } from "../store/options.ts";
import { invalid } from "../store/requests.ts";
import type { AggregateRef } from "../values/aggregate.ts";
import {
  asGeneral,
  byType,
  type ConsumerSpec,
  type DefinedConsumer,
  type EventMap,
  type EventOf,
  exactlyOne,
  type Handler,
  type HandlerContext,
  type Handlers,
  resolveSegments,
  scopeOf,
  type Segmented,
} from "./definition.ts";
import { resolveFailure } from "./failure.ts";
import { resolveConsumer } from "./name.ts";

/**
 * Runs an observer's handlers: in a pool, on another thread, with a rate limit. Resolves when the task has run, rejects
 * when it failed. `"rejected"` means that the task never ran: the cycle ends and will offer it again.
 */
export type Executor = (
  task: () => Promise<void>,
  about: { readonly aggregate: AggregateRef; readonly signal: AbortSignal },
) => Promise<void | "rejected">;

export type ObserverSpec<Events extends EventMap> = ConsumerSpec &
  Segmented & {
    /** Handlers at once, each of another aggregate. With 1, events are handled in the order of the log. Default 16. */
    readonly concurrency?: number | undefined;
    /** Events that were read and are not handled yet, at most: beyond it nothing more is read. Default 1 000. */
    readonly maxInFlight?: number | undefined;
    /**
     * `"claim"` claims each event before its handler runs, and remembers that it was completed: after a crash, what was
     * completed is not run again, and what was claimed is run again when the claim has expired. Default `"none"`.
     */
    readonly dedupe?: "none" | "claim" | undefined;
    /** How long a claim holds without being completed. Default 60 000. */
    readonly claimMs?: number | undefined;
  } & (
    | { readonly handlers: Handlers<HandlerContext, NoInfer<Events>> }
    | { readonly handle: Handler<HandlerContext, EventOf<Events>> }
  );

/**
 * A consumer for effects outside of the database. Each event is handled at least once: a crash repeats what was running
 * or done but not recorded, together never more than `concurrency` events. Handlers of different aggregates run side by
 * side, those of one aggregate in order.
 */
export interface Observer extends DefinedConsumer {
  readonly kind: "observer";
  readonly concurrency: number;
  readonly maxInFlight: number;
  readonly dedupe: "none" | "claim";
  readonly claimMs: number;
  readonly handle: Handler<HandlerContext, RecordedEvent>;
}

/** Checks an observer's definition once. Throws INVALID_ARGUMENT or LIMIT_EXCEEDED. */
export function defineObserver<Events extends EventMap = Record<string, unknown>>(
  spec: ObserverSpec<Events>,
): Observer {
  exactlyOne(spec, ["handlers", "handle"]);
  const dedupe = spec.dedupe ?? "none";
  if (dedupe !== "none" && dedupe !== "claim") throw invalid("dedupe", 'dedupe is "none" or "claim".');
  return Object.freeze({
    kind: "observer",
    key: resolveConsumer(spec),
    start: spec.start ?? "head",
    segments: resolveSegments(spec.segments, spec.scope),
    scope: "handlers" in spec ? scopeOf(spec.handlers, spec.scope) : (spec.scope ?? {}),
    failure: resolveFailure(spec.failure, "park"),
    concurrency: positive("concurrency", spec.concurrency ?? 16),
    maxInFlight: positive("maxInFlight", spec.maxInFlight ?? 1_000),
    dedupe,
    claimMs: positive("claimMs", spec.claimMs ?? 60_000),
    handle: "handlers" in spec ? byType(spec.handlers) : asGeneral(spec.handle),
  } satisfies Observer);
}

import type { RecordedEvent } from "../event.ts";
import {
  asGeneral,
  byType,
  type ConsumerSpec,
  type DefinedConsumer,
  type EventMap,
  type EventOf,
  exactlyOne,
  type Handler,
  type Handlers,
  resolveSegments,
  scopeOf,
  type Segmented,
  type TransactionalContext,
} from "./definition.ts";
import { resolveFailure } from "./failure.ts";
import { resolveConsumer } from "./name.ts";

/** Gets each event once, in order. A promise that it returns is awaited; its value is not looked at. */
export type BatchHandler<Tx, Event> = (events: readonly Event[], context: TransactionalContext<Tx>) => unknown;

/** A projector handles each event, by its type or by one function, or takes whole batches. */
export type ProjectorSpec<Tx, Events extends EventMap> = ConsumerSpec &
  Segmented &
  (
    | { readonly handlers: Handlers<TransactionalContext<Tx>, NoInfer<Events>> }
    | { readonly handle: Handler<TransactionalContext<Tx>, EventOf<Events>> }
    | { readonly handleBatch: BatchHandler<Tx, EventOf<Events>> }
  );

/** A consumer whose effects and checkpoint are one transaction. Made by {@link defineProjector}. */
export interface Projector<Tx> extends DefinedConsumer {
  readonly kind: "projector";
  /** One event at a time, or a whole batch. */
  readonly handler:
    | { readonly kind: "each"; readonly handle: Handler<TransactionalContext<Tx>, RecordedEvent> }
    | { readonly kind: "batch"; readonly handle: BatchHandler<Tx, RecordedEvent> };
}

/** Checks a projector's definition once. Throws INVALID_ARGUMENT or LIMIT_EXCEEDED. */
export function defineProjector<Tx, Events extends EventMap = Record<string, unknown>>(
  spec: ProjectorSpec<Tx, Events>,
): Projector<Tx> {
  exactlyOne(spec, ["handlers", "handle", "handleBatch"]);
  return Object.freeze({
    kind: "projector",
    key: resolveConsumer(spec),
    start: spec.start ?? "beginning",
    segments: resolveSegments(spec.segments, spec.scope),
    scope: "handlers" in spec ? scopeOf(spec.handlers, spec.scope) : (spec.scope ?? {}),
    failure: resolveFailure(spec.failure, "park"),
    handler: resolveHandler(spec),
  } satisfies Projector<Tx>);
}

function resolveHandler<Tx, Events extends EventMap>(spec: ProjectorSpec<Tx, Events>): Projector<Tx>["handler"] {
  if ("handlers" in spec) return { kind: "each", handle: byType(spec.handlers) };
  if ("handle" in spec) return { kind: "each", handle: asGeneral(spec.handle) };
  return { kind: "batch", handle: asGeneral(spec.handleBatch) };
}

/**
 * The consumer of pupsourcing: one handler for all events, in the checkpoint's transaction. It stops at an event that
 * it cannot handle.
 */
export interface Consumer<Tx> {
  readonly name: string;
  handle(event: RecordedEvent, context: TransactionalContext<Tx>): unknown;
}

/** A {@link Consumer} of some aggregate types or contexts only. An empty list means all; both given mean both. */
export interface ScopedConsumer<Tx> extends Consumer<Tx> {
  readonly aggregateTypes?: readonly string[] | undefined;
  readonly contexts?: readonly string[] | undefined;
}

export function asProjector<Tx>(consumer: ScopedConsumer<Tx>): Projector<Tx> {
  const { name, aggregateTypes, contexts } = consumer;
  return defineProjector<Tx>({
    name,
    scope: { aggregateTypes, contexts },
    failure: { then: "stop" },
    handle: (event, context) => consumer.handle(event, context),
  });
}

import type { ConsumerKey } from "../adapter/consumers.ts";
import type { AppendRequest, RecordedEvent, Scope } from "../event.ts";
import { resolveRetry } from "../store/options.ts";
import { invalid } from "../store/requests.ts";
import type { StoreInTransaction } from "../store/store.ts";
import type { StartRule } from "./consumers.ts";
import { resolveConsumer } from "./name.ts";

/** The data of each event type: `{ "order-placed": OrderPlaced }`. An interface or a type alias. */
export type EventMap = object;

/** Any event of an event map, its data told apart by its type. */
export type EventOf<Events extends EventMap> = {
  [Type in keyof Events & string]: RecordedEvent<Type, Events[Type]>;
}[keyof Events & string];

/** What a handler gets beside its events. */
export interface HandlerContext<Tx> {
  /** The transaction in which the checkpoint commits: what is written through it is applied exactly once. */
  readonly tx: Tx;
  /** The store inside this transaction. Appends at once; prefer `append`. */
  readonly store: StoreInTransaction;
  /** Appends events with the batch: validated now, written as its last statements, committed with the checkpoint. */
  append(request: AppendRequest): void;
  /** False during a rebuild beside a live version: do nothing then that the outside world can see. */
  readonly live: boolean;
  /** Fires when the batch is not wanted any more: its zone is lost or it takes too long. */
  readonly signal: AbortSignal;
}

/** A promise that it returns is awaited; its value is not looked at. */
export type Handler<Tx, Event> = (event: Event, context: HandlerContext<Tx>) => unknown;

/** Gets each event once, in order. A promise that it returns is awaited; its value is not looked at. */
export type BatchHandler<Tx, Event> = (events: readonly Event[], context: HandlerContext<Tx>) => unknown;

/** What happens when a handler fails for a reason that is not transient. */
export interface FailurePolicy {
  /** How often an event's handler runs before `then` applies. Default 5. */
  readonly attempts?: number | undefined;
  readonly minDelayMs?: number | undefined;
  readonly maxDelayMs?: number | undefined;
  /** `"stop"` keeps the checkpoint before the event; `"skip"` moves it past the event. Default `"stop"`. */
  readonly then?: "stop" | "skip" | undefined;
}

interface ProjectorSpecBase {
  readonly name: string;
  /** The version of the read model. Another version is another consumer. Default 1. */
  readonly version?: number | undefined;
  /** Default `"beginning"`. */
  readonly start?: StartRule | undefined;
  /** Which events it gets. With `handlers`, the event types are theirs. Default: all. */
  readonly scope?: Scope | undefined;
  readonly failure?: FailurePolicy | undefined;
}

/** A projector handles each event, by its type or by one function, or takes whole batches. */
export type ProjectorSpec<Tx, Events extends EventMap> = ProjectorSpecBase &
  (
    | {
        readonly handlers: {
          readonly [Type in keyof Events & string]?: Handler<Tx, RecordedEvent<Type, Events[Type]>>;
        };
      }
    | { readonly handle: Handler<Tx, EventOf<Events>> }
    | { readonly handleBatch: BatchHandler<Tx, EventOf<Events>> }
  );

/** A consumer whose effects and checkpoint are one transaction. Made by {@link defineProjector}. */
export interface Projector<Tx> {
  readonly kind: "projector";
  readonly key: ConsumerKey;
  readonly start: StartRule;
  readonly scope: Scope;
  readonly failure: {
    readonly attempts: number;
    readonly minDelayMs: number;
    readonly maxDelayMs: number;
    readonly then: "stop" | "skip";
  };
  /** One event at a time, or a whole batch. */
  readonly handler:
    | { readonly kind: "each"; readonly handle: Handler<Tx, RecordedEvent> }
    | { readonly kind: "batch"; readonly handle: BatchHandler<Tx, RecordedEvent> };
}

/** Checks a projector's definition once. Throws INVALID_ARGUMENT or LIMIT_EXCEEDED. */
export function defineProjector<Tx, Events extends EventMap = Record<string, unknown>>(
  spec: ProjectorSpec<Tx, Events>,
): Projector<Tx> {
  const { failure = {} } = spec;
  const then = failure.then ?? "stop";
  if (then !== "stop" && then !== "skip") throw invalid("failure.then", 'failure.then is "stop" or "skip".');
  const backoff = resolveRetry("failure", failure, { attempts: 5, minDelayMs: 100, maxDelayMs: 5_000 });
  return Object.freeze({
    kind: "projector",
    key: resolveConsumer(spec),
    start: spec.start ?? "beginning",
    scope: resolveHandledScope(spec),
    failure: { ...backoff, then },
    handler: resolveHandler(spec),
  } satisfies Projector<Tx>);
}

function resolveHandler<Tx, Events extends EventMap>(spec: ProjectorSpec<Tx, Events>): Projector<Tx>["handler"] {
  const given = ["handlers", "handle", "handleBatch"].filter((name) => name in spec);
  if (given.length !== 1) {
    throw invalid("handlers", `A projector has exactly one of handlers, handle and handleBatch; got ${given.length}.`);
  }
  if ("handle" in spec) return { kind: "each", handle: asGeneral(spec.handle) };
  if ("handleBatch" in spec) return { kind: "batch", handle: asGeneral(spec.handleBatch) };
  const handlers = new Map(Object.entries(spec.handlers));
  return {
    kind: "each",
    handle: (event, context) =>
      asGeneral<Handler<Tx, RecordedEvent> | undefined>(handlers.get(event.type))?.(event, context),
  };
}

/** With handlers by type, their types are the scope: what nobody handles is never read. */
function resolveHandledScope<Tx, Events extends EventMap>(spec: ProjectorSpec<Tx, Events>): Scope {
  if (!("handlers" in spec)) return spec.scope ?? {};
  if (spec.scope?.eventTypes !== undefined) {
    throw invalid(
      "scope.eventTypes",
      "The event types of a projector with handlers are those of its handlers; leave them out.",
    );
  }
  const eventTypes = Object.entries(spec.handlers).filter(([, handler]) => handler !== undefined);
  if (eventTypes.length === 0) throw invalid("handlers", "A projector needs at least one handler.");
  return { ...spec.scope, eventTypes: eventTypes.map(([type]) => type) };
}

/** The event map is the caller's claim about what the log holds; from here on handlers are called by type only. */
function asGeneral<General>(handler: unknown): General {
  return handler as General;
}

import type { ConsumerKey } from "../adapter/consumers.ts";
import type { AppendRequest, RecordedEvent, Scope } from "../event.ts";
import { invalid } from "../store/requests.ts";
import type { StoreInTransaction } from "../store/store.ts";
import type { StartRule } from "./consumers.ts";
import type { FailurePolicy, ResolvedFailurePolicy } from "./failure.ts";
import { checkSegments } from "./layouts.ts";

/** The data of each event type: `{ "order-placed": OrderPlaced }`. An interface or a type alias. */
export type EventMap = object;

/** Any event of an event map, its data told apart by its type. */
export type EventOf<Events extends EventMap> = {
  [Type in keyof Events & string]: RecordedEvent<Type, Events[Type]>;
}[keyof Events & string];

/** What every handler gets beside its event. */
export interface HandlerContext {
  /** False during a rebuild beside a live version: do nothing then that the outside world can see. */
  readonly live: boolean;
  /** Fires when the work is not wanted any more: the zone is lost, or it takes too long. */
  readonly signal: AbortSignal;
}

/** What a handler gets that runs in the transaction in which the checkpoint commits. */
export interface TransactionalContext<Tx> extends HandlerContext {
  /** The transaction in which the checkpoint commits: what is written through it is applied exactly once. */
  readonly tx: Tx;
  /** The store inside this transaction. Appends at once; prefer `append`. */
  readonly store: StoreInTransaction;
  /** Appends events with the batch: validated now, written as its last statements, committed with the checkpoint. */
  readonly append: (request: AppendRequest) => void;
}

/** A promise that it returns is awaited; its value is not looked at. */
export type Handler<Context, Event> = (event: Event, context: Context) => unknown;

/** Handlers by event type, each with its type's data. */
export type Handlers<Context, Events extends EventMap> = {
  readonly [Type in keyof Events & string]?: Handler<Context, RecordedEvent<Type, Events[Type]>>;
};

/** What all kinds of consumers are defined by. */
export interface ConsumerSpec {
  readonly name: string;
  /** The version of what it builds. Another version is another consumer. Default 1. */
  readonly version?: number | undefined;
  /** Default: `"beginning"` for projectors, `"head"` for observers and sagas. */
  readonly start?: StartRule | undefined;
  /** Which events it gets. With `handlers`, the event types are theirs. Default: all. */
  readonly scope?: Scope | undefined;
  readonly failure?: FailurePolicy | undefined;
}

/** What all kinds have in common once they are defined. */
export interface DefinedConsumer {
  readonly key: ConsumerKey;
  readonly start: StartRule;
  readonly segments: number;
  readonly scope: Scope;
  readonly failure: ResolvedFailurePolicy;
}

/** For consumers that can be split. */
export interface Segmented {
  /**
   * In how many segments it is consumed, side by side: each event belongs to one, all of an aggregate to the same. A
   * power of two up to 1024. What is stored is changed by `consumers.resegment` only. Default 1.
   */
  readonly segments?: number | undefined;
}

export function resolveSegments(segments = 1, scope: Scope = {}): number {
  if (scope.segment !== undefined && segments !== 1) {
    throw invalid(
      "scope.segment",
      "A consumer with segments gets the events of each of them; leave scope.segment out.",
    );
  }
  return checkSegments(segments);
}

/** With handlers by type, their types are the scope: what nobody handles is never read. */
export function scopeOf(handlers: object, scope: Scope = {}): Scope {
  if (scope.eventTypes !== undefined) {
    throw invalid(
      "scope.eventTypes",
      "With handlers, the event types are those of the handlers; leave them out of scope.",
    );
  }
  const types = Object.entries(handlers).flatMap(([type, handler]) => (handler === undefined ? [] : [type]));
  if (types.length === 0) throw invalid("handlers", "A consumer needs at least one handler.");
  return { ...scope, eventTypes: types };
}

/** One handler that finds the right one by the event's type. */
export function byType<Context>(handlers: object): Handler<Context, RecordedEvent> {
  const map = new Map<string, unknown>(Object.entries(handlers));
  return (event, context) =>
    asGeneral<Handler<Context, RecordedEvent> | undefined>(map.get(event.type))?.(event, context);
}

/** The event map is the caller's claim about what the log holds; from here on handlers are called by type only. */
export function asGeneral<General>(handler: unknown): General {
  return handler as General;
}

/** Throws unless `spec` has exactly one of these members. */
export function exactlyOne(spec: object, names: readonly string[]): void {
  const given = names.filter((name) => name in spec);
  if (given.length === 1) return;
  throw invalid("handlers", `A consumer has exactly one of ${names.join(", ")}; got ${given.join(" and ") || "none"}.`);
}

import type { RecordedEvent } from "../event.ts";
import { checkText, invalid } from "../store/requests.ts";
import {
  asGeneral,
  type ConsumerSpec,
  type DefinedConsumer,
  type EventMap,
  type EventOf,
  exactlyOne,
  scopeOf,
  type TransactionalContext,
} from "./definition.ts";
import { resolveFailure } from "./failure.ts";
import { resolveConsumer } from "./name.ts";
import type { Deadline } from "./records.ts";

/** What a saga is after an event. Associations are what later events find it by. */
export interface SagaState<Data> {
  readonly associations: Readonly<Record<string, string>>;
  readonly data: Data;
  /** True ends the saga: it is gone. */
  readonly ended?: boolean | undefined;
}

export interface SagaContext<Tx> extends TransactionalContext<Tx> {
  /** Of the saga that gets the event, or that it would start. */
  readonly sagaId: string;
  /** Asks to be woken at a moment, by the database's clock. Another one of the same name replaces it. */
  readonly schedule: (name: string, dueAt: Date, data?: unknown) => void;
  /** Takes a deadline back. Does nothing when there is none. */
  readonly cancel: (name: string) => void;
}

/** What it returns replaces the saga's state; undefined changes nothing. */
export type SagaHandler<Tx, Data, Event> = (
  event: Event,
  state: SagaState<Data> | undefined,
  context: SagaContext<Tx>,
) => SagaState<Data> | undefined | void | Promise<SagaState<Data> | undefined | void>;

/** How a saga takes part in one type of events. */
export interface SagaHandling<Tx, Data, Event> {
  /** What the event finds its sagas by; a value of undefined concerns none. */
  readonly association: { readonly property: string; readonly value: (event: Event) => string | undefined };
  /** Whether the event starts a saga where it finds none. Then the handler gets undefined as its state. */
  readonly starts?: boolean | undefined;
  readonly handle: SagaHandler<Tx, Data, Event>;
}

/** The saga that was found, or nothing. */
export interface FoundSaga<Data> {
  readonly id: string | undefined;
  readonly version: number | undefined;
  readonly state: SagaState<Data> | undefined;
}

/**
 * One handler for all events that looks for its saga itself: what it returns becomes the state of the saga that it
 * found last, or of a new one. The contract of Evento. When it is parked, later events of the same aggregate wait.
 */
export type FreeSagaHandler<Tx, Data, Event> = (
  event: Event,
  find: (property: string, value: string) => Promise<FoundSaga<Data>>,
  context: TransactionalContext<Tx>,
) => SagaState<Data> | undefined | void | Promise<SagaState<Data> | undefined | void>;

interface SagaSpecBase<Tx, Data> extends ConsumerSpec {
  /** What its sagas are stored under. Default: the consumer's name. Choose another for another version. */
  readonly saga?: string | undefined;
  /** By the name of the deadline. One without a handler here is dropped when it is due. */
  readonly deadlines?: Readonly<Record<string, SagaHandler<Tx, Data, Deadline>>> | undefined;
}

export type SagaSpec<Tx, Data, Events extends EventMap> = SagaSpecBase<Tx, Data> &
  (
    | {
        readonly handlers: {
          readonly [Type in keyof Events & string]?: SagaHandling<Tx, Data, RecordedEvent<Type, Events[Type]>>;
        };
      }
    | { readonly handle: FreeSagaHandler<Tx, Data, EventOf<Events>> }
  );

/**
 * A consumer that keeps a state for each process that events move on: state, appended events and checkpoint are one
 * transaction. Every saga that an event finds gets it, in the order of their ids.
 */
export interface SagaConsumer<Tx> extends DefinedConsumer {
  readonly kind: "saga";
  readonly saga: string;
  /** How it takes part in each event type, or one handler for all. */
  readonly handling:
    | { readonly kind: "by-type"; readonly handlings: ReadonlyMap<string, SagaHandling<Tx, unknown, RecordedEvent>> }
    | { readonly kind: "free"; readonly handle: FreeSagaHandler<Tx, unknown, RecordedEvent> };
  readonly deadlines: ReadonlyMap<string, SagaHandler<Tx, unknown, Deadline>>;
}

/** Checks a saga's definition once. Throws INVALID_ARGUMENT or LIMIT_EXCEEDED. */
export function defineSaga<Tx, Data, Events extends EventMap = Record<string, unknown>>(
  spec: SagaSpec<Tx, Data, Events>,
): SagaConsumer<Tx> {
  exactlyOne(spec, ["handlers", "handle"]);
  return Object.freeze({
    kind: "saga",
    key: resolveConsumer(spec),
    saga: checkText("saga", "consumerNameBytes", spec.saga ?? spec.name),
    start: spec.start ?? "head",
    segments: 1,
    scope: "handlers" in spec ? scopeOf(spec.handlers, spec.scope) : (spec.scope ?? {}),
    failure: resolveFailure(spec.failure, "stop"),
    handling:
      "handlers" in spec
        ? { kind: "by-type", handlings: resolveHandlings(spec.handlers) }
        : { kind: "free", handle: asGeneral(spec.handle) },
    deadlines: new Map(
      Object.entries(asGeneral<Record<string, SagaHandler<Tx, unknown, Deadline>>>(spec.deadlines ?? {})),
    ),
  } satisfies SagaConsumer<Tx>);
}

function resolveHandlings<Tx>(handlers: object): ReadonlyMap<string, SagaHandling<Tx, unknown, RecordedEvent>> {
  const handlings = new Map<string, SagaHandling<Tx, unknown, RecordedEvent>>();
  for (const [type, given] of Object.entries(handlers)) {
    const handling = asGeneral<SagaHandling<Tx, unknown, RecordedEvent> | undefined>(given);
    if (handling === undefined) continue;
    if (typeof handling.handle !== "function" || typeof handling.association?.value !== "function") {
      throw invalid(
        `handlers.${type}`,
        "A saga handles an event type by { association: { property, value }, starts?, handle }.",
      );
    }
    checkText(`handlers.${type}.association.property`, "associationBytes", handling.association.property);
    handlings.set(type, handling);
  }
  return handlings;
}

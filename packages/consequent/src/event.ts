import type { EventMetadata, PackInput } from "@tidemark/core";
import { checkArray, checkObject, invalid, toDate } from "./given.ts";

/**
 * An event as consequent has it: data of its own and what consequent adds (`_actorId`, `_createdOn`, …) in one object. What
 * consequent adds begins with `_`, except `id` and `type`.
 */
export type ConsequentEvent = {
  /** A flake id. */
  readonly id?: string | undefined;
  /** `"account.opened"`: the actor's type and the event's name. */
  readonly type?: string | undefined;
  /** The actor's system id. */
  readonly _actorId?: string | undefined;
  readonly _actorType?: string | undefined;
  /** By the writer's clock, ISO 8601. */
  readonly _createdOn?: string | undefined;
  readonly [field: string]: unknown;
};

export function checkEvents(events: readonly ConsequentEvent[]): void {
  checkArray("events", events);
  for (const event of events) checkObject("event", event);
}

/** What is stored of an event: its own fields are the data, those that begin with `_` the metadata. */
export function toStored(event: ConsequentEvent): PackInput {
  const { id, type, _createdOn, ...fields } = event;
  if (typeof id !== "string" || typeof type !== "string") {
    throw invalid("event", "An event of consequent has an id and a type, both strings, before it is stored.");
  }
  const named = Object.entries(fields);
  // Not by assignment, which would take "__proto__" for something else than a field.
  const metadata = Object.fromEntries(named.filter(([name]) => name.startsWith("_")));
  const data = Object.fromEntries(named.filter(([name]) => !name.startsWith("_")));
  return { id, type, data, metadata, occurredOn: toDate("_createdOn", _createdOn) };
}

/** An event of the log, or of a pack, whoever stored it there. */
interface Stored {
  readonly id: string;
  readonly type: string;
  readonly data: unknown;
  readonly metadata: EventMetadata;
  readonly occurredOn: Date;
}

/** The event as consequent has stored it. One that something else has appended gets what it lacks. */
export function toConsequent(
  { id, type, data, metadata, occurredOn }: Stored,
  actorType: string,
  systemId: string,
): ConsequentEvent {
  return {
    _actorType: actorType,
    _actorId: systemId,
    ...metadata,
    ...(isFields(data) ? data : { data }),
    id,
    type,
    _createdOn: occurredOn.toISOString(),
  };
}

/** Of another value than an object, which only something else than consequent appends, `data` is the field. */
function isFields(data: unknown): data is Readonly<Record<string, unknown>> {
  return typeof data === "object" && data !== null && !Array.isArray(data);
}

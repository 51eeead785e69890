import type { EventRow } from "../adapter/append.ts";
import type { Codec, CodecSubject } from "../codec.ts";
import { TidemarkError } from "../errors.ts";
import type { EventInput, EventMetadata } from "../event.ts";
import { asMetadata } from "../store/read-aggregate.ts";
import { encodeEvent, got, invalid, isArray, limit, type Preparation } from "../store/requests.ts";
import { compareBytes, utf8Length } from "../values/text.ts";

/** An event as it is known without a log: what a pack holds and what a {@link RecordedEvent} has as well. */
export interface ActorEvent<Type extends string = string, Data = unknown> {
  readonly id: string;
  readonly type: Type;
  readonly data: Data;
  readonly metadata: EventMetadata;
  /** By the writer's clock, to the millisecond. */
  readonly occurredOn: Date;
}

/** An event to be packed: it has its id already. */
export interface PackInput<Type extends string = string, Data = unknown> extends EventInput<Type, Data> {
  readonly id: string;
}

/** Events as JSON text, ascending by id, each id once: the first that was given. */
export function encodePack(actorType: string, events: readonly PackInput[], preparation: Preparation): string {
  if (!isArray(events)) throw invalid("events", `events is an array of events, ${got(events)}.`);
  limit("eventsPerPack", events.length, "Store snapshots more often.");
  const now = Date.now();
  const rows = new Map<string, EventRow>();
  for (const event of events) {
    const row = encodeEvent(withId(event), preparation, now);
    if (!rows.has(row.id)) rows.set(row.id, row);
  }
  const sorted = [...rows.values()].sort((a, b) => compareBytes(a.id, b.id));
  const text = preparation.codec.encode(sorted, subjectOf(actorType));
  limit("packBytes", utf8Length(text), "Store snapshots more often, or keep large content of events elsewhere.");
  return text;
}

function withId(event: PackInput): PackInput {
  if (typeof event !== "object" || event === null) {
    throw invalid("events", `An event is an object with id, type and data, ${got(event)}.`);
  }
  if (typeof event.id !== "string") {
    throw invalid("event.id", `event.id is the id that the event was stored with, ${got(event.id)}.`);
  }
  return event;
}

/** Errors: UNREADABLE. */
export function decodePack(actorType: string, text: string, codec: Codec): readonly ActorEvent[] {
  const rows = codec.decode(text, subjectOf(actorType));
  if (!Array.isArray(rows) || !rows.every(isEventRow)) {
    throw new TidemarkError(
      "UNREADABLE",
      `An event pack of ${actorType} does not hold events. Something else than this library wrote it, or the serializer ` +
        "does not give back what it was given.",
      { position: undefined },
    );
  }
  return rows.map(({ id, type, data, metadata, occurredOn }) => ({
    id,
    type,
    data: codec.decode(data, { kind: "event-data", type }),
    metadata: metadata === "{}" ? {} : asMetadata(codec.decode(metadata, { kind: "event-metadata", type })),
    occurredOn: new Date(occurredOn),
  }));
}

function subjectOf(actorType: string): CodecSubject {
  return { kind: "event-pack", type: actorType };
}

function isEventRow(row: unknown): row is EventRow {
  if (typeof row !== "object" || row === null) return false;
  const { id, type, data, metadata, occurredOn } = row as { readonly [K in keyof EventRow]?: unknown };
  return [id, type, data, metadata].every((text) => typeof text === "string") && typeof occurredOn === "number";
}

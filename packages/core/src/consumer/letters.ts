import type { LetterRecords, LetterRequest, LetterRow, NewLetter } from "../adapter/dead-letters.ts";
import type { Operation } from "../adapter/operation.ts";
import type { Codec } from "../codec.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { EventMetadata, RecordedEvent } from "../event.ts";
import { resolveAggregate } from "../store/requests.ts";
import { type AggregateInput, bucketOf } from "../values/aggregate.ts";
import { formatPosition, parsePosition, type Position, START } from "../values/position.ts";
import { type ConsumerInput, resolveConsumer } from "./name.ts";
import { aggregateSequence } from "./sequences.ts";
import { describeThrown } from "./thrown.ts";

export interface LetterCause {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
}

/** An event that a consumer could not handle, or that waits behind one that it could not. */
export interface DeadLetter {
  readonly event: RecordedEvent;
  /** Undefined for one that only waits: it was never tried. */
  readonly cause: LetterCause | undefined;
  /** How often a handler has failed on it. */
  readonly attempts: number;
  /** When it was parked first, and last. */
  readonly firstAt: Date;
  readonly lastAt: Date;
  /** What was asked for it and not yet carried out. */
  readonly request: LetterRequest | undefined;
}

export interface LetterFilter extends Operation {
  /** Only those that something was asked for. */
  readonly requested?: boolean | undefined;
  /** Only events of this aggregate (projectors and observers). */
  readonly aggregate?: AggregateInput | undefined;
}

/**
 * The parked events of consumers. Operators only ask: whoever holds the consumer's zone carries it out between
 * batches, the oldest first, each in one transaction. What was asked while nobody runs is done by the next cycle.
 */
export interface DeadLetters {
  /** Ascending by position, in pages. */
  list(consumer: ConsumerInput, filter?: LetterFilter): AsyncIterable<DeadLetter>;
  count(consumer: ConsumerInput, op?: Operation): Promise<number>;
  /** Asks for another try of one event, or of all. How many letters there were to mark; 0 is no error. */
  retry(consumer: ConsumerInput, position: Position | "all", op?: Operation): Promise<number>;
  /** Asks to give up one event, or all: it is forgotten, and what waits behind it goes on. */
  remove(consumer: ConsumerInput, position: Position | "all", op?: Operation): Promise<number>;
  /** Takes back what was asked and not yet carried out. */
  cancel(consumer: ConsumerInput, position: Position | "all", op?: Operation): Promise<number>;
}

const PAGE = 100;

export function createDeadLetters(
  records: LetterRecords,
  codec: Codec,
  call: <T>(name: string, writes: boolean, work: () => Promise<T>) => Promise<T>,
): DeadLetters {
  const request = (
    name: string,
    consumer: ConsumerInput,
    position: Position | "all",
    what: LetterRequest | undefined,
    op: Operation = {},
  ): Promise<number> => {
    const key = resolveConsumer(consumer);
    return call(name, true, () => records.request(key, position === "all" ? undefined : position, what, op));
  };
  return {
    list: async function* list(consumer, filter = {}) {
      const key = resolveConsumer(consumer);
      const { aggregate, requested = false } = filter;
      const sequence = aggregate === undefined ? undefined : aggregateSequence(resolveAggregate(aggregate));
      for (let after: Position = START; ;) {
        const query = { after, limit: PAGE, requested, sequence };
        const rows = await call("deadLetters.list", false, () => records.list(key, query, filter));
        for (const row of rows) yield decodeLetter(row, codec);
        const last = rows.at(-1);
        if (last === undefined || rows.length < PAGE) return;
        after = last.position;
      }
    },
    count: async (consumer, op = {}) => {
      const key = resolveConsumer(consumer);
      return call("deadLetters.count", false, () => records.count(key, op));
    },
    retry: (consumer, position, op) => request("deadLetters.retry", consumer, position, "retry", op),
    remove: (consumer, position, op) => request("deadLetters.remove", consumer, position, "remove", op),
    cancel: (consumer, position, op) => request("deadLetters.cancel", consumer, position, undefined, op),
  };
}

/** A letter to be parked. Without `error` it only waits behind another one. */
export function encodeLetter(
  event: RecordedEvent,
  sequences: readonly string[],
  codec: Codec,
  failure?: { readonly error: unknown; readonly attempts: number },
): NewLetter {
  const { type } = event;
  const text = JSON.stringify({
    ...event,
    position: formatPosition(event.position),
    data: codec.encode(event.data, { kind: "event-data", type }),
    metadata: codec.encode(event.metadata, { kind: "event-metadata", type }),
  });
  return {
    position: event.position,
    bucket: bucketOf(event.aggregate),
    sequences,
    event: text,
    cause: failure === undefined ? undefined : encodeCause(failure.error),
    attempts: failure?.attempts ?? 0,
  };
}

export function decodeLetter(row: LetterRow, codec: Codec): DeadLetter {
  return {
    event: decodeEvent(row, codec),
    cause: row.cause === undefined ? undefined : (JSON.parse(row.cause) as LetterCause),
    attempts: row.attempts,
    firstAt: new Date(row.firstAt),
    lastAt: new Date(row.lastAt),
    request: row.request,
  };
}

/** What a letter holds is what {@link encodeLetter} made: dates and positions as texts, data as encoded text. */
interface EncodedEvent extends Omit<RecordedEvent, "position" | "data" | "metadata" | "occurredOn" | "recordedAt"> {
  readonly position: string;
  readonly data: string;
  readonly metadata: string;
  readonly occurredOn: string;
  readonly recordedAt: string;
}

function decodeEvent(row: LetterRow, codec: Codec): RecordedEvent {
  try {
    const event = JSON.parse(row.event) as EncodedEvent;
    const { type } = event;
    return {
      ...event,
      position: parsePosition(event.position),
      data: codec.decode(event.data, { kind: "event-data", type }),
      metadata: codec.decode(event.metadata, { kind: "event-metadata", type }) as EventMetadata,
      occurredOn: new Date(event.occurredOn),
      recordedAt: new Date(event.recordedAt),
    };
  } catch (cause) {
    const message = isTidemarkError(cause) ? cause.message : "The stored text of the letter is not what was written.";
    throw new TidemarkError(
      "UNREADABLE",
      `Dead letter ${row.position}: ${message}`,
      { position: row.position },
      { cause },
    );
  }
}

/** Why a handler failed, as letters hold it. */
export function encodeCause(error: unknown): string {
  return JSON.stringify(describeThrown(error) satisfies LetterCause);
}

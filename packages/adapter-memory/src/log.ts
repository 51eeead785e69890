import { randomUUID } from "node:crypto";
import { type AggregateRef, type Position, START, toPosition } from "@tidemark/core";
import { aggregateKey, compareBytes, type FrontierHolderRow, type StoredEvent } from "@tidemark/core/spi";

/** An open transaction that has appended. */
interface Registration {
  /** Counted from 1: transactions in memory have no other name. */
  readonly number: number;
  /** The last position before its first one: from here on, nothing is final. */
  readonly low: Position;
  readonly events: StoredEvent[];
  readonly aggregates: AggregateIndex;
}

/**
 * The events, and the protocol by which readers miss none although transactions commit in another order than they
 * took their positions in:
 *
 * 1. positions come from a sequence that is never turned back, not even by a rollback, which leaves a gap;
 * 2. before its first position, a transaction registers the last position given out so far;
 * 3. nobody reads past the frontier: the lowest registration of the open transactions, or the last position.
 *
 * An event that is still to be committed stands above its transaction's registration, so above the frontier; and the
 * frontier never moves back, because what registers later registers higher. Hence nothing ever appears at or below a
 * position that a reader was given, and writers never wait for each other. The SQL adapters take the same three steps
 * with what their databases have for it; here, they are in one tick, and so in one snapshot.
 */
export class EventLog {
  readonly id: string = randomUUID();
  readonly #events: StoredEvent[] = [];
  readonly #aggregates = new AggregateIndex();
  readonly #registrations = new Map<object, Registration>();
  #last: Position = START;
  #registered = 0;

  /** Stores an event at the next position, visible to its own transaction only until that commits. */
  append(event: Omit<StoredEvent, "position">, transaction: object): Position {
    const registration = this.#register(transaction);
    this.#last = toPosition(this.#last + 1n);
    const stored = { ...event, position: this.#last };
    registration.events.push(stored);
    registration.aggregates.add(stored);
    return this.#last;
  }

  end(transaction: object, outcome: "committed" | "rolled-back"): void {
    const registration = this.#registrations.get(transaction);
    if (registration === undefined) return;
    this.#registrations.delete(transaction);
    if (outcome === "committed") this.#insert(registration.events);
  }

  /** The tidemark: the last committed event at or below the frontier. */
  head(): Position {
    return this.#events[this.#countUpTo(this.#frontier()) - 1]?.position ?? START;
  }

  /** The open transactions that have appended, the first one first. */
  holders(): readonly FrontierHolderRow[] {
    return [...this.#registrations.values()].map(({ low, number, events }) => ({
      position: low,
      since: events[0]?.recordedAt,
      session: `transaction ${number}`,
      application: undefined,
    }));
  }

  /** Committed events after `after`, ascending, up to the frontier. */
  *visible(after: Position): Generator<StoredEvent, void, undefined> {
    const end = this.#countUpTo(this.#frontier());
    for (let index = this.#countUpTo(after); index < end; index++) {
      const event = this.#events[index];
      if (event !== undefined) yield event;
    }
  }

  /**
   * Versions `first` to `last` of an aggregate, ascending. Not bounded by the frontier: within an aggregate, the lock
   * of its head makes commits follow versions.
   */
  versions(ref: AggregateRef, first: number, last: number, transaction?: object): readonly StoredEvent[] {
    const committed = this.#aggregates.events(ref);
    const own = this.#registrationOf(transaction)?.aggregates.events(ref) ?? [];
    const before = committed.length;
    return [
      ...committed.slice(first - 1, last),
      ...own.slice(Math.max(0, first - 1 - before), Math.max(0, last - before)),
    ];
  }

  /** Events of an aggregate after an id, ascending by the bytes of their ids. Not to be held open over an await. */
  *byId(ref: AggregateRef, after: string, transaction?: object): Generator<StoredEvent, void, undefined> {
    const committed = this.#aggregates.eventsById(ref);
    const own = this.#registrationOf(transaction)?.aggregates.eventsById(ref) ?? [];
    let fromCommitted = countById(committed, after);
    let fromOwn = countById(own, after);
    for (;;) {
      const [first, second] = [committed[fromCommitted], own[fromOwn]];
      const isOwn = first === undefined || (second !== undefined && compareBytes(second.id, first.id) < 0);
      const next = isOwn ? second : first;
      if (next === undefined) return;
      yield next;
      if (isOwn) fromOwn += 1;
      else fromCommitted += 1;
    }
  }

  find(ref: AggregateRef, eventId: string, transaction?: object): StoredEvent | undefined {
    return this.#aggregates.find(ref, eventId) ?? this.#registrationOf(transaction)?.aggregates.find(ref, eventId);
  }

  #register(transaction: object): Registration {
    const known = this.#registrations.get(transaction);
    if (known !== undefined) return known;
    this.#registered += 1;
    const registration = { number: this.#registered, low: this.#last, events: [], aggregates: new AggregateIndex() };
    this.#registrations.set(transaction, registration);
    return registration;
  }

  #registrationOf(transaction: object | undefined): Registration | undefined {
    return transaction === undefined ? undefined : this.#registrations.get(transaction);
  }

  #frontier(): Position {
    let frontier = this.#last;
    for (const { low } of this.#registrations.values()) if (low < frontier) frontier = low;
    return frontier;
  }

  /** Usually at the end. What commits late goes between what was committed before it: two sorted runs, one merge. */
  #insert(events: readonly StoredEvent[]): void {
    for (const event of events) this.#aggregates.add(event);
    const first = events[0];
    if (first === undefined) return;
    const later = this.#events.splice(this.#countUpTo(first.position));
    const merged = later.length === 0 ? events : [...later, ...events].toSorted(byPosition);
    for (const event of merged) this.#events.push(event);
  }

  /** How many committed events stand at or below `position`. */
  #countUpTo(position: Position): number {
    return countFirst(this.#events, (event) => event.position <= position);
  }
}

interface Aggregate {
  /** In the order of their versions. */
  readonly events: StoredEvent[];
  /** Ascending by the bytes of their ids. */
  readonly eventsById: StoredEvent[];
  readonly ids: Map<string, StoredEvent>;
}

/** Events by aggregate. */
class AggregateIndex {
  readonly #aggregates = new Map<string, Aggregate>();

  add(event: StoredEvent): void {
    const key = aggregateKey(event.ref);
    const aggregate = this.#aggregates.get(key) ?? { events: [], eventsById: [], ids: new Map<string, StoredEvent>() };
    this.#aggregates.set(key, aggregate);
    aggregate.events.push(event);
    aggregate.eventsById.splice(countById(aggregate.eventsById, event.id), 0, event);
    aggregate.ids.set(event.id, event);
  }

  events(ref: AggregateRef): readonly StoredEvent[] {
    return this.#aggregates.get(aggregateKey(ref))?.events ?? [];
  }

  eventsById(ref: AggregateRef): readonly StoredEvent[] {
    return this.#aggregates.get(aggregateKey(ref))?.eventsById ?? [];
  }

  find(ref: AggregateRef, eventId: string): StoredEvent | undefined {
    return this.#aggregates.get(aggregateKey(ref))?.ids.get(eventId);
  }
}

/** How many of the events, which ascend by id, have an id at or below this one. */
function countById(events: readonly StoredEvent[], id: string): number {
  return countFirst(events, (event) => compareBytes(event.id, id) <= 0);
}

/** How many of the first events match, where none does after one that does not; by binary search. */
function countFirst(events: readonly StoredEvent[], matches: (event: StoredEvent) => boolean): number {
  let low = 0;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const event = events[middle];
    if (event !== undefined && matches(event)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function byPosition(a: StoredEvent, b: StoredEvent): number {
  return a.position < b.position ? -1 : 1;
}

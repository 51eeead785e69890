import { AsyncResource } from "node:async_hooks";
import { type AggregateRef, type AppendRequest, type Store, type StoreInTransaction, toPosition } from "@tidemark/core";
import {
  abortable,
  type Adapter,
  aggregateKey,
  type AggregateQuery,
  type AppendOperation,
  type AppendOutcome,
  type AppendPart,
  type AppendUnit,
  type EventRow,
  type LogPage,
  type LogQuery,
  type Operation,
  type StoredEvent,
} from "@tidemark/core/spi";
import { turn } from "../expect.ts";
import { override } from "../law.ts";

export type Append = (units: readonly AppendUnit[], op: AppendOperation) => Promise<readonly AppendOutcome[]>;

/** A real adapter whose appends go through `change`, also those inside transactions. */
export function onAppends<Tx>(real: Adapter<Tx>, change: (append: Append) => Append): Adapter<Tx> {
  return override(onAppendsInside(real, change), () => ({
    appendBatch: change((units, op) => real.appendBatch(units, op)),
  }));
}

/** A real adapter whose appends inside transactions go through `change`. */
export function onAppendsInside<Tx>(real: Adapter<Tx>, change: (append: Append) => Append): Adapter<Tx> {
  return override(real, () => ({
    within: (tx) =>
      override(real.within(tx), (port) => ({ appendBatch: change((units, op) => port.appendBatch(units, op)) })),
  }));
}

/** A real adapter that writes something else than it is given. */
export function onUnits<Tx>(real: Adapter<Tx>, change: (unit: AppendUnit) => AppendUnit): Adapter<Tx> {
  return onAppends(real, (append) => (units, op) => append(units.map(change), op));
}

export function onParts<Tx>(real: Adapter<Tx>, change: (part: AppendPart) => AppendPart): Adapter<Tx> {
  return onUnits(real, (unit) => ({ ...unit, parts: unit.parts.map(change) }));
}

export function onEvents<Tx>(real: Adapter<Tx>, change: (event: EventRow) => EventRow): Adapter<Tx> {
  return onParts(real, (part) => ({ ...part, events: part.events.map(change) }));
}

/** A real adapter that writes what it should, and says something else. */
export function onOutcomes<Tx>(
  real: Adapter<Tx>,
  change: (outcome: AppendOutcome, unit: AppendUnit) => AppendOutcome,
): Adapter<Tx> {
  return onAppends(real, sayingOf(change));
}

export function sayingOf(
  change: (outcome: AppendOutcome, unit: AppendUnit) => AppendOutcome,
): (append: Append) => Append {
  return (append) => async (units, op) => {
    const outcomes = await append(units, op);
    return outcomes.map((outcome, index) => {
      const unit = units[index];
      return unit === undefined ? outcome : change(outcome, unit);
    });
  };
}

/** A real adapter that holds what it should, and returns something else. */
export function onRows<Tx>(real: Adapter<Tx>, change: (row: StoredEvent) => StoredEvent): Adapter<Tx> {
  return override(real, () => ({
    readAggregate: async (query: AggregateQuery, op: Operation) => (await real.readAggregate(query, op)).map(change),
    readAll: async (query: LogQuery, op: Operation): Promise<LogPage> => {
      const page = await real.readAll(query, op);
      return { ...page, events: page.events.map(change) };
    },
    within: (tx) =>
      override(real.within(tx), (port) => ({
        readAggregate: async (query, op) => (await port.readAggregate(query, op)).map(change),
      })),
  }));
}

/** A real adapter that takes one aggregate for another, in writing and in reading. */
export function onRefs<Tx>(real: Adapter<Tx>, change: (ref: AggregateRef) => AggregateRef): Adapter<Tx> {
  const renamed = (query: AggregateQuery): AggregateQuery => ({ ...query, ref: change(query.ref) });
  const writing = onParts(real, (part) => ({ ...part, ref: change(part.ref) }));
  return override(writing, () => ({
    readAggregate: (query, op) => real.readAggregate(renamed(query), op),
    within: (tx) =>
      override(writing.within(tx), (port) => ({
        readAggregate: (query, op) => port.readAggregate(renamed(query), op),
      })),
  }));
}

/** A real store that is given other requests than its caller made. */
export function onRequests<Tx>(real: Store<Tx>, change: (request: AppendRequest) => AppendRequest): Store<Tx> {
  return override(real, () => ({
    append: (request, op) => real.append(change(request), op),
    appendAll: (requests, op) => real.appendAll(requests.map(change), op),
  }));
}

export function ignoresExpected<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  return onParts(real, (part) => ({ ...part, expected: "any" }));
}

/** Each time it is given an event, it writes it under an id that it never saw. */
export function renamesIds<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  let given = 0;
  return onEvents(real, (event) => ({ ...event, id: `${event.id}~${++given}` }));
}

export function skipsKnownIds<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  return onUnits(real, (unit) => ({ ...unit, known: "skip" }));
}

export function comparesContentBy<Tx>(real: Adapter<Tx>, sameContent: AppendOperation["sameContent"]): Adapter<Tx> {
  return onAppends(real, (append) => (units, op) => append(units, { ...op, sameContent }));
}

/** Refuses what it should, and writes the first event of it all the same. */
export function keepsSomeOfWhatItRefuses<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  return onAppends(real, (append) => async (units, op) => {
    const outcomes = await append(units, op);
    const refused = units.filter((_unit, index) => isRefusal(outcomes[index]));
    if (refused.length > 0) await append(refused.map(firstEvent), op);
    return outcomes;
  });
}

/** A real adapter that has written some of an append inside a transaction before it fails. */
export function keepsSomeOfWhatFails<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  return onAppendsInside(real, (append) => async (units, op) => {
    try {
      return await append(units, op);
    } catch (error) {
      await append(units.map(firstEvent), op);
      throw error;
    }
  });
}

function isRefusal(outcome: AppendOutcome | undefined): boolean {
  return outcome?.kind === "conflict" || outcome?.kind === "known-ids";
}

function firstEvent(unit: AppendUnit): AppendUnit {
  const parts = unit.parts.slice(0, 1).map((part): AppendPart => {
    const events = part.events.slice(0, 1).map((event) => ({ ...event, id: `${event.id}~` }));
    return { ...part, expected: "any", events };
  });
  return { ...unit, parts };
}

/** Commits the parts of a unit one after the other. */
export function appendsPartByPart<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  return onAppends(real, (append) => async (units, op) => {
    const outcomes: AppendOutcome[] = [];
    for (const unit of units) {
      const pieces: AppendOutcome[] = [];
      for (const part of unit.parts) pieces.push(...(await append([{ ...unit, parts: [part] }], op)));
      outcomes.push(joined(pieces));
    }
    return outcomes;
  });
}

function joined(pieces: readonly AppendOutcome[]): AppendOutcome {
  for (const [part, piece] of pieces.entries()) if (!("parts" in piece)) return { ...piece, part };
  return { kind: "appended", parts: pieces.flatMap((piece) => ("parts" in piece ? piece.parts : [])) };
}

/** Commits the first event of each part, and the rest a moment later. */
export function appendsInTwoSteps<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  return onAppends(real, (append) => async (units, op) => {
    const steps = [
      (events: readonly EventRow[]) => events.slice(0, 1),
      (events: readonly EventRow[]) => events.slice(1),
    ];
    const said: (readonly AppendOutcome[])[] = [];
    for (const step of steps) {
      said.push(
        await append(
          units.map((unit) => ({ ...unit, parts: unit.parts.map((part) => ({ ...part, events: step(part.events) })) })),
          op,
        ),
      );
      await turn(20);
    }
    return units.map((_unit, index) => continued(said[0]?.[index], said[1]?.[index]));
  });
}

function continued(first: AppendOutcome | undefined, rest: AppendOutcome | undefined): AppendOutcome {
  if (first === undefined || rest === undefined) throw new TypeError("An append without an outcome.");
  if (!("parts" in first) || !("parts" in rest)) return first;
  const parts = first.parts.map((part, index) => {
    const more = rest.parts[index];
    return more === undefined ? part : { ...part, last: more.last, positions: [...part.positions, ...more.positions] };
  });
  return { kind: "appended", parts };
}

/** Writes the first append of a batch, and says of the others that it has. */
export function writesOnlyTheFirstOfABatch<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  return onAppends(real, (append) => async (units, op) => {
    const written = await append(units.slice(0, 1), op);
    return units.map((unit, index) => written[index] ?? pretended(unit));
  });
}

/** Hands the appends of one moment on in reverse. */
export function appendsInReverse<Tx>(real: Store<Tx>): Store<Tx> {
  const calls: (() => void)[] = [];
  return override(real, () => ({
    append: (request, op) =>
      new Promise((resolve, reject) => {
        calls.push(() => void real.append(request, op).then(resolve, reject));
        setImmediate(() => calls.pop()?.());
      }),
  }));
}

/** Does not know what its appends are called inside of. */
export function appendsAsIfFromOutside<Tx>(real: Store<Tx>): Store<Tx> {
  const append: Store<Tx>["append"] = AsyncResource.bind((request: AppendRequest, op?: Operation) =>
    real.append(request, op),
  );
  return override(real, () => ({ append }));
}

/** Holds all appends up as soon as a transaction of a caller has appended. */
export function waitsForCallers<Tx>(real: Store<Tx>): Store<Tx> {
  let held = false;
  return override(real, () => ({
    within: (tx) =>
      override(real.within(tx), (inside) => ({
        append: (request, op) => {
          held = true;
          return inside.append(request, op);
        },
      })),
    append: (request, op) => (held ? new Promise(() => undefined) : real.append(request, op)),
  }));
}

/** Whatever its transactions have appended, it appends again before the next read. */
export function remembersWhatWasRolledBack<Tx>(real: Store<Tx>): Store<Tx> {
  const requests: AppendRequest[] = [];
  const noting = (inside: StoreInTransaction): StoreInTransaction =>
    override(inside, () => ({
      append: (request, op) => {
        requests.push(request);
        return inside.append(request, op);
      },
      appendAll: (more, op) => {
        requests.push(...more);
        return inside.appendAll(more, op);
      },
    }));
  return override(real, () => ({
    within: (tx) => noting(real.within(tx)),
    transaction: (work, options) => real.transaction((tx, inside) => work(tx, noting(inside)), options),
    readAll: async (options) => {
      for (const request of requests.splice(0)) await real.append(request);
      return real.readAll(options);
    },
  }));
}

export function ignoresTheSignalOfTransactions<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  return override(real, () => ({ transaction: (work) => real.transaction(work, {}) }));
}

/** Says at once that a transaction is aborted, and commits what was done in it until then. */
export function commitsWhatIsAborted<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  return override(real, () => ({
    transaction: async <T>(work: (tx: Tx) => Promise<T>, op: Operation): Promise<T> => {
      const done: { readonly value: T }[] = [];
      const committing = real.transaction(async (tx) => {
        try {
          done.push({ value: await work(tx) });
        } catch (error) {
          if (op.signal?.aborted !== true) throw error;
        }
      }, {});
      await abortable(committing, op.signal);
      const [result] = done;
      if (result === undefined)
        throw new TypeError("A transaction that was not aborted is committed without its work.");
      return result.value;
    },
  }));
}

/** What an append of `unit` to aggregates without events may come to. */
export function pretended(unit: AppendUnit): AppendOutcome {
  const parts = unit.parts.map(({ events }) => ({
    first: 1,
    last: events.length,
    positions: events.map((_event, index) => toPosition(index + 1)),
  }));
  return { kind: "appended", parts };
}

/** Lets a repeated append replace what was stored beside the content: its metadata. */
export function replacesMetadata<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  const latest = new Map<string, string>();
  const noting = onUnits(real, (unit) => {
    for (const { events } of unit.parts) for (const event of events) latest.set(event.id, event.metadata);
    return unit;
  });
  return onRows(noting, (row) => ({ ...row, metadata: latest.get(row.id) ?? row.metadata }));
}

/** Shows the events of a transaction to readers outside before it is over. */
export function showsTheUncommitted<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  const uncommitted: AppendPart[] = [];
  const noting = onAppendsInside(real, (append) => (units, op) => {
    uncommitted.push(...units.flatMap((unit) => unit.parts));
    return append(units, op);
  });
  return override(noting, () => ({
    readAggregate: async (query, op) => {
      const rows = await real.readAggregate(query, op);
      const parts = uncommitted.filter(({ ref }) => aggregateKey(ref) === aggregateKey(query.ref));
      return [
        ...rows,
        ...parts.flatMap((part) => part.events.map((event, index) => asStored(part, event, rows.length + index + 1))),
      ];
    },
  }));
}

function asStored({ ref, bucket }: AppendPart, event: EventRow, version: number): StoredEvent {
  return { ...event, ref, bucket, version, position: toPosition(version), recordedAt: event.occurredOn };
}

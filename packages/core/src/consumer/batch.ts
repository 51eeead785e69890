import type { Codec } from "../codec.ts";
import type { RecordedEvent } from "../event.ts";
import { linkSignals, throwIfAborted } from "../store/timing.ts";
import type { TransactionalContext } from "./definition.ts";
import { handled, StopRequested } from "./interruptions.ts";
import type { Observation } from "./observation.ts";
import { type LetterToPark, park } from "./parking.ts";
import type { FencedRecords } from "./records.ts";
import type { Work } from "./work.ts";
import type { FencedTransaction, Zone } from "./zone.ts";

export interface BatchParts<Tx> {
  readonly events: readonly RecordedEvent[];
  readonly work: Work<Tx>;
  readonly zone: Zone<Tx>;
  readonly transaction: FencedTransaction<Tx>;
  readonly codec: Codec;
  /** What the handlers are told of it. */
  readonly live: boolean;
  readonly isToStop: () => boolean;
}

export interface BatchReport {
  /** How many events, from the first, the consumer is through with: fewer when it was asked to stop in between. */
  readonly done: number;
  readonly observations: readonly Observation[];
}

/** Handles events in the zone's transaction. Events of a sequence that is parked are parked behind it instead. */
export async function runBatch<Tx>(parts: BatchParts<Tx>): Promise<BatchReport> {
  const { events, work, zone, transaction, codec, live, isToStop } = parts;
  if (isToStop()) throw new StopRequested();
  const { tx, store, append, records } = transaction;
  const { controller, unlink } = linkSignals([transaction.signal, zone.signal]);
  const context: TransactionalContext<Tx> = { tx, store, append, live, signal: controller.signal };
  const waiting = await parkedSequences(events, work, records);
  const report = work.batch === undefined ? eachEvent() : wholeBatch(work.batch);
  try {
    return await report;
  } finally {
    unlink();
  }

  async function eachEvent(): Promise<BatchReport> {
    const observations: Observation[] = [];
    const letters: LetterToPark[] = [];
    for (const [index, event] of events.entries()) {
      if (index > 0 && isToStop()) break;
      throwIfAborted(controller.signal);
      const sequences = await waiting.sequencesOfWaiting(event);
      if (sequences !== undefined) {
        letters.push({ event, sequences });
        observations.push(observation(event, "waits", 0));
      } else {
        const startedAt = performance.now();
        await handled(() => work.each(event, context, records), index);
        observations.push(observation(event, "handled", performance.now() - startedAt));
      }
    }
    await park(letters, work.consumer, codec, records);
    return { done: observations.length, observations };
  }

  async function wholeBatch(batch: NonNullable<Work<Tx>["batch"]>): Promise<BatchReport> {
    const letters: LetterToPark[] = [];
    const ready: RecordedEvent[] = [];
    for (const event of events) {
      const sequences = await waiting.sequencesOfWaiting(event);
      if (sequences === undefined) ready.push(event);
      else letters.push({ event, sequences });
    }
    const startedAt = performance.now();
    if (ready.length > 0) await handled(() => batch(ready, context), events.length === 1 ? 0 : undefined);
    const each = (performance.now() - startedAt) / Math.max(1, ready.length);
    await park(letters, work.consumer, codec, records);
    const waits = new Set(letters.map((letter) => letter.event));
    const observations = events.map((event) =>
      waits.has(event) ? observation(event, "waits", 0) : observation(event, "handled", each),
    );
    return { done: events.length, observations };
  }

  function observation(event: RecordedEvent, outcome: "handled" | "waits", durationMs: number): Observation {
    return { consumer: work.consumer.key, kind: work.consumer.kind, event, outcome, durationMs };
  }
}

interface Waiting {
  /** The sequences of an event that has to wait because one of them is parked; undefined for one that need not. */
  sequencesOfWaiting(event: RecordedEvent): Promise<readonly string[] | undefined>;
}

/** One look-up for the whole batch, and none for its events unless the consumer has dead letters at all. */
async function parkedSequences<Tx>(
  events: readonly RecordedEvent[],
  work: Work<Tx>,
  records: FencedRecords,
): Promise<Waiting> {
  const { key } = work.consumer;
  const { deadLetters } = records;
  if (!(await deadLetters.any(key, {}))) return { sequencesOfWaiting: async () => undefined };
  const all = [...new Set(events.flatMap((event) => work.sequences(event)))];
  const parked = new Set(await deadLetters.parked(key, all, undefined, {}));
  return {
    sequencesOfWaiting: async (event) => {
      const more = await work.moreSequences(event, records);
      const sequences = [...work.sequences(event), ...more];
      const behind = sequences.some((sequence) => parked.has(sequence));
      if (!behind && (await deadLetters.parked(key, more, undefined, {})).length === 0) return undefined;
      // What waits makes its other sequences wait as well.
      for (const sequence of sequences) parked.add(sequence);
      return sequences;
    },
  };
}

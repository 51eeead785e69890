import type { RecordedEvent } from "../event.ts";
import type { Store } from "../store/store.ts";
import { linkSignals } from "../store/timing.ts";
import { isTidemarkError, isTransient } from "../errors.ts";
import type { Position } from "../values/position.ts";
import { type DeadLetter, decodeLetter, encodeCause } from "./letters.ts";
import { handled, HandlerFailure } from "./interruptions.ts";
import type { Observation } from "./observation.ts";
import type { Outlook } from "./outlook.ts";
import { patiently } from "./patience.ts";
import type { Work } from "./work.ts";
import type { FencedTransaction, Zone } from "./zone.ts";

export interface ReplayParts<Tx> {
  readonly store: Store<Tx>;
  readonly zone: Zone<Tx>;
  readonly work: Work<Tx>;
  readonly outlook: Outlook<Tx>;
  readonly isToStop: () => boolean;
  readonly observed: (observation: Observation) => void;
}

/**
 * Carries out what operators asked for dead letters: the oldest first, each in one transaction that handles the event,
 * removes the letter and sets free what waited behind it. A letter with an older one in any of its sequences, as they are
 * by now, waits for that one, its mark stays. Failure parks it again, without its mark. True when anything was carried out.
 */
export async function replayLetters<Tx>(parts: ReplayParts<Tx>): Promise<boolean> {
  const { store, work, outlook } = parts;
  let any = false;
  for await (const letter of store.deadLetters.list(work.consumer.key, { requested: true })) {
    if (parts.isToStop()) break;
    if (!outlook.isOfSegment(letter.event)) continue;
    if (await replay(letter, parts)) any = true;
  }
  return any;
}

async function replay<Tx>(letter: DeadLetter, parts: ReplayParts<Tx>): Promise<boolean> {
  const { zone } = parts;
  const { position } = letter.event;
  const startedAt = performance.now();
  let carriedOut = false;
  try {
    await zone.commit(async (transaction) => {
      carriedOut = await carryOut(letter.event, transaction, parts);
      return zone.position;
    });
  } catch (error) {
    const cause = error instanceof HandlerFailure ? error.cause : error;
    if (zone.signal.aborted || isTransient(cause) || isOfTheCycle(error)) throw error;
    await parkAgain(position, cause, parts);
    parts.observed({
      ...about(letter.event, parts),
      outcome: "parked",
      error: cause,
      durationMs: performance.now() - startedAt,
    });
    return true;
  }
  if (!carriedOut) return false;
  const outcome = letter.request === "remove" ? "skipped" : "handled";
  parts.observed({ ...about(letter.event, parts), outcome, durationMs: performance.now() - startedAt });
  return true;
}

/** Whether an error says nothing about the event: the cycle knows what to do. */
function isOfTheCycle(error: unknown): boolean {
  if (error instanceof HandlerFailure) return isTidemarkError(error.cause, "TRANSACTION_ENDED");
  return CYCLE_CODES.some((code) => isTidemarkError(error, code));
}

const CYCLE_CODES = ["TRANSACTION_ENDED", "ZONE_LOST", "CHECKPOINT_CONFLICT", "CLOSED"] as const;

/** False when there is nothing to carry out: the letter is gone, its mark too, or an older one is in its way. */
async function carryOut<Tx>(
  event: RecordedEvent,
  transaction: FencedTransaction<Tx>,
  parts: ReplayParts<Tx>,
): Promise<boolean> {
  const { work, zone } = parts;
  const { key } = work.consumer;
  const { tx, store, append, records } = transaction;
  const { deadLetters } = records;
  const letter = await deadLetters.get(key, event.position, {});
  if (letter?.request === undefined) return false;
  // A saga may be there now that was not when it was parked, and an older letter may be of that one.
  const more = letter.request === "retry" ? await work.moreSequences(event, records) : [];
  const inTheWay = await deadLetters.parked(key, [...new Set([...letter.sequences, ...more])], event.position, {});
  if (inTheWay.length > 0) return false;
  await deadLetters.remove(key, event.position, {});
  if (letter.request === "retry") {
    const { controller, unlink } = linkSignals([transaction.signal, zone.signal]);
    const live = parts.outlook.isLive(event.position);
    const context = { tx, store, append, live, signal: controller.signal };
    try {
      await handled(
        () => (work.batch === undefined ? work.each(event, context, records) : work.batch([event], context)),
        0,
      );
    } finally {
      unlink();
    }
  }
  await deadLetters.requestWaiting(key, letter.sequences, {});
  return true;
}

/**
 * The event's text is the letter's own, whatever the handler did to the event. Its sequences may have become more: a
 * saga that was not there when it was parked.
 */
async function parkAgain<Tx>(position: Position, error: unknown, parts: ReplayParts<Tx>): Promise<void> {
  const { store, zone, work } = parts;
  const { key } = work.consumer;
  const { segment } = zone;
  await patiently(() => store.consumers.recordError(key, error, { segment }), zone.signal);
  await zone.commit(
    async ({ records }) => {
      const letter = await records.deadLetters.get(key, position, {});
      if (letter !== undefined) {
        const { bucket, event } = letter;
        const more = await work.moreSequences(decodeLetter(letter, store.codec).event, records);
        const sequences = [...new Set([...letter.sequences, ...more])];
        const again = { position, bucket, sequences, event, cause: encodeCause(error), attempts: 1 };
        await records.deadLetters.park(key, [again], {});
      }
      return zone.position;
    },
    { keepError: true },
  );
}

function about<Tx>(event: RecordedEvent, { work }: ReplayParts<Tx>): Pick<Observation, "consumer" | "kind" | "event"> {
  return { consumer: work.consumer.key, kind: work.consumer.kind, event };
}

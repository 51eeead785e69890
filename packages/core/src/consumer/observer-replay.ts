import type { LetterRequest } from "../adapter/dead-letters.ts";
import type { RecordedEvent } from "../event.ts";
import { type DeadLetter, encodeCause } from "./letters.ts";
import type { Observer } from "./observer.ts";
import type { RunOutcome } from "./observer-run.ts";
import type { Zone } from "./zone.ts";

export interface ObserverReplayParts<Tx> {
  readonly observer: Observer;
  readonly zone: Zone<Tx>;
  readonly run: (event: RecordedEvent) => Promise<RunOutcome>;
}

/**
 * Carries out what was asked for one dead letter of an observer. The handler runs outside of any transaction, then the
 * letter goes and what waited behind it is set free: a crash in between repeats the handler. Undefined when there is
 * nothing to carry out: the letter is gone, or an older one of its sequence is in its way.
 */
export async function replayObserved<Tx>(
  letter: DeadLetter,
  { observer, zone, run }: ObserverReplayParts<Tx>,
): Promise<RunOutcome | undefined> {
  const { position } = letter.event;
  const { key } = observer;
  // What was asked last: the letter may have been listed long before its turn.
  let request: LetterRequest | undefined;
  await zone.commit(
    async ({ records }) => {
      const stored = await records.deadLetters.get(key, position, {});
      const inTheWay =
        stored === undefined ? [] : await records.deadLetters.parked(key, stored.sequences, position, {});
      request = inTheWay.length === 0 ? stored?.request : undefined;
      return zone.position;
    },
    { keepError: true },
  );
  if (request === undefined) return undefined;

  const isRemoval = request === "remove";
  let isTakenBack = false;
  const outcome: RunOutcome = isRemoval
    ? { kind: "skipped", error: undefined, attempts: 0, durationMs: 0 }
    : await run(letter.event);
  const { kind } = outcome;
  if (kind === "rejected" || kind === "interrupted" || kind === "failed") return outcome;
  const gone = kind === "handled" || kind === "done-before" || isRemoval;
  await zone.commit(
    async ({ records }) => {
      const stored = await records.deadLetters.get(key, position, {});
      isTakenBack = isRemoval && stored?.request !== "remove";
      if (stored === undefined || isTakenBack) return zone.position;
      if (gone) {
        await records.deadLetters.remove(key, position, {});
        await records.deadLetters.requestWaiting(key, stored.sequences, {});
      } else {
        const { bucket, sequences, event } = stored;
        const { error, attempts } = outcome;
        await records.deadLetters.park(
          key,
          [{ position, bucket, sequences, event, cause: encodeCause(error), attempts }],
          {},
        );
      }
      return zone.position;
    },
    { keepError: !gone },
  );
  if (isTakenBack) return undefined;
  return gone ? outcome : { ...outcome, kind: "parked", event: letter.event };
}

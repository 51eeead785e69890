import type { NewLetter } from "../adapter/dead-letters.ts";
import type { Codec } from "../codec.ts";
import { TidemarkError } from "../errors.ts";
import type { RecordedEvent } from "../event.ts";
import type { DefinedConsumer } from "./definition.ts";
import { encodeLetter } from "./letters.ts";
import { consumerLabel } from "./name.ts";
import type { FencedRecords } from "./records.ts";

export interface LetterToPark {
  readonly event: RecordedEvent;
  readonly sequences: readonly string[];
  /** Absent for an event that only waits behind another. */
  readonly failure?: { readonly error: unknown; readonly attempts: number } | undefined;
}

/** Writes letters in the consumer's transaction. Throws DEAD_LETTERS_FULL where the failure policy allows no more. */
export async function park(
  letters: readonly LetterToPark[],
  consumer: DefinedConsumer,
  codec: Codec,
  records: FencedRecords,
): Promise<void> {
  if (letters.length === 0) return;
  const { key, failure } = consumer;
  await records.deadLetters.park(
    key,
    letters.map((letter) => encode(letter, codec)),
    {},
  );
  await refuseMoreThan(failure.maxParked, undefined);
  for (const sequence of new Set(letters.flatMap((letter) => letter.sequences))) {
    await refuseMoreThan(failure.maxParkedPerSequence, sequence);
  }

  async function refuseMoreThan(allowed: number, sequence: string | undefined): Promise<void> {
    if ((await records.deadLetters.count(key, sequence, {})) > allowed) throw full(consumerLabel(key), allowed);
  }
}

function encode({ event, sequences, failure }: LetterToPark, codec: Codec): NewLetter {
  return encodeLetter(event, sequences, codec, failure);
}

function full(consumer: string, allowed: number): TidemarkError<"DEAD_LETTERS_FULL"> {
  return new TidemarkError(
    "DEAD_LETTERS_FULL",
    `${consumer} has ${allowed} dead letters, in all or in one sequence, and its failure policy allows no more. Mend the ` +
      "cause, then retry or remove them.",
    { consumer, allowed },
  );
}

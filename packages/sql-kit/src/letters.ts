import type { NewLetter } from "@tidemark/core/spi";

/**
 * Letters that are parked twice at once are what parking them in turn makes of them, as one statement cannot write a row
 * twice. In the order in which everybody locks them.
 */
export function oneForEachPosition(letters: readonly NewLetter[]): readonly NewLetter[] {
  const byPosition = new Map<bigint, NewLetter>();
  for (const letter of letters) {
    const { cause, attempts = 0 } = byPosition.get(letter.position) ?? {};
    const cumulated = { cause: letter.cause ?? cause, attempts: letter.attempts + attempts };
    byPosition.set(letter.position, { ...letter, ...cumulated });
  }
  return [...byPosition.values()].toSorted((a, b) => (a.position < b.position ? -1 : 1));
}

/**
 * Where an event stands in the log: strictly increasing in the order in which readers see events, with gaps
 * allowed. 0 stands before the first event. The brand is a string key, so that two copies of this package agree.
 */
export type Position = bigint & { readonly "tidemark.position": true };

/** The greatest number that every database can hold as a position. */
const GREATEST = 2n ** 63n - 1n;

/** The position before the first event. */
export const START: Position = toPosition(0n);

/** Mints a position from what a database returned or a caller has kept. Throws `RangeError` unless 0 … 2^63 - 1. */
export function toPosition(value: bigint | number): Position {
  const position = typeof value === "bigint" ? value : exactBigint(value);
  if (isPosition(position)) return position;
  throw new RangeError(`A position is from 0 to ${GREATEST}, got ${position}.`);
}

export function isPosition(value: unknown): value is Position {
  return typeof value === "bigint" && value >= 0n && value <= GREATEST;
}

/** The decimal digits of a position: the form in which every JSON text of Tidemark holds one. */
export function formatPosition(position: Position): string {
  return position.toString();
}

/** The inverse of {@link formatPosition}. Throws `RangeError` for anything else. */
export function parsePosition(text: string): Position {
  if (!/^(0|[1-9][0-9]{0,18})$/.test(text)) {
    throw new RangeError(`A position is written in decimal digits without leading zeros, got ${JSON.stringify(text)}.`);
  }
  return toPosition(BigInt(text));
}

function exactBigint(value: number): bigint {
  if (!Number.isSafeInteger(value)) {
    throw new RangeError(`A position given as a number must be a safe integer, got ${value}; give a bigint.`);
  }
  return BigInt(value);
}

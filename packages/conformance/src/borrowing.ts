import type { Borrowed } from "./subject.ts";

const ends = new WeakMap<object, () => Promise<void>>();

/** Remembers what the adapter was lent, so that a broken store can do to it what no store may. */
export function remember<Tx>(borrowed: Borrowed<Tx>): Borrowed<Tx> {
  ends.set(borrowed.adapter, () => borrowed.end());
  return borrowed;
}

/** Closes what the adapter was lent. */
export async function endWhatWasLent(adapter: object): Promise<void> {
  await ends.get(adapter)?.();
}

import type { Store, StoreOptions } from "@tidemark/core";
import type { Change, Site } from "./law.ts";
import type { Line } from "./subject.ts";

/** Bounds a call that must not hang; how long it may take is not what laws are about. */
export const SOON_MS = 20_000;

/** A store over a line that can be cut. The bench's own store sees the database all the time. */
export async function overLine<Tx>(
  { database, open }: Site<Tx>,
  options: StoreOptions = {},
  change: Change<Tx> = (real) => real,
): Promise<{ readonly line: Line<Tx>; readonly store: Store<Tx> }> {
  if (database.line === undefined) throw new TypeError("A subject with a server needs the hook `line`.");
  const line = await database.line();
  return { line, store: await open(options, () => change(line.adapter())) };
}

/** A hook that does nothing would let every store pass. */
export function expectLoss(loss: { readonly isLost: boolean } | undefined): void {
  if (loss?.isLost !== true) throw new TypeError("The hook `loseAcknowledgement` has lost nothing.");
}

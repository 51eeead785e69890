import type { ConsumerLook, ConsumerRow, Looked } from "@tidemark/core/spi";
import { consumerRowKey, type Database } from "./database.ts";

/** What somebody who runs a consumer must know of it, beside its rows. */
export function lookAt(database: Database, row: ConsumerRow, { key, saga }: Looked): ConsumerLook {
  const requested = new Set<number>();
  for (const letter of database.letters.find(consumerRowKey(key))) {
    if (letter.request !== undefined) requested.add(letter.bucket);
  }
  let dueAt: number | undefined;
  if (saga !== undefined) {
    for (const deadline of database.deadlines.find(saga)) dueAt = Math.min(dueAt ?? deadline.dueAt, deadline.dueAt);
  }
  return {
    row,
    requested: [...requested].toSorted((a, b) => a - b),
    dueInMs: dueAt === undefined ? undefined : dueAt - database.now(),
  };
}

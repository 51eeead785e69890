import type { TransactionPort } from "@tidemark/core/spi";
import { appendUnits } from "./append.ts";
import { createCompletionPort } from "./completions.ts";
import { moveCheckpoint, readSegment } from "./consumers.ts";
import type { Database } from "./database.ts";
import { createLetterPort } from "./dead-letters.ts";
import { createDeadlinePort } from "./deadlines.ts";
import { createIdentityPort } from "./identities.ts";
import type { MemoryTransaction } from "./memory-transaction.ts";
import { createPackPort } from "./packs.ts";
import { readAggregatePage, readEventIdPage } from "./read.ts";
import { createSagaPort } from "./sagas.ts";
import { createSnapshotPort } from "./snapshots.ts";

/** The same for a transaction that was lent and for one that the caller has begun. */
export function createPort(database: Database, tx: MemoryTransaction): TransactionPort {
  const transaction = database.own(tx);
  return {
    isOpen: () => transaction.state === "open",
    appendBatch: (units, op) => appendUnits(database, transaction, units, op),
    readAggregate: (query, op) => readAggregatePage(database, query, op, transaction),
    readEventsById: (query, op) => readEventIdPage(database, query, op, transaction),
    segment: (key, op) => readSegment(database, transaction, key, op),
    fence: (fence, op) => moveCheckpoint(database, transaction, fence, op),
    sagas: createSagaPort(database, transaction),
    deadlines: createDeadlinePort(database, transaction),
    deadLetters: createLetterPort(database, transaction),
    completions: createCompletionPort(database, transaction),
    snapshots: createSnapshotPort(database, transaction),
    identities: createIdentityPort(database, transaction),
    packs: createPackPort(database, transaction),
  };
}

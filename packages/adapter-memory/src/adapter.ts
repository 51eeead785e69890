import { type Adapter, throwIfAborted } from "@tidemark/core/spi";
import { appendBatch } from "./append.ts";
import { memoryCapabilities } from "./capabilities.ts";
import { createClaimRecords } from "./claims.ts";
import { createConsumerRecords } from "./consumers.ts";
import { createLetterRecords } from "./dead-letters.ts";
import { createDeadlineReader } from "./deadlines.ts";
import { createIdentityRecords } from "./identities.ts";
import { createLayoutRecords } from "./layouts.ts";
import { createMemberRecords } from "./members.ts";
import type { MemoryTransaction } from "./memory-transaction.ts";
import { type MemoryAdapterOptions, resolveMemoryOptions } from "./options.ts";
import { createPackRecords } from "./packs.ts";
import {
  readAggregatePage,
  readEventIdPage,
  readFrontierHolders,
  readHead,
  readLogPage,
  readPositionBefore,
} from "./read.ts";
import { createSagaReader } from "./sagas.ts";
import { createSnapshotRecords } from "./snapshots.ts";
import { transact } from "./transaction.ts";
import { createVersionRecords } from "./versions.ts";
import { createPort } from "./within.ts";
import { createZoneRecords } from "./zones.ts";

/** An adapter for `openStore`; `createMemoryStore` is both in one. Errors: INVALID_ARGUMENT. */
export function createMemoryAdapter(options: MemoryAdapterOptions = {}): Adapter<MemoryTransaction> {
  const { database } = resolveMemoryOptions(options);
  return {
    name: "memory",
    capabilities: memoryCapabilities,
    lending: "beside",
    open: async (_schema, op) => {
      // A log that cannot be older than this program has no schema that could be another one.
      throwIfAborted(op.signal);
      return { logId: database.log.id };
    },
    appendBatch: (units, op) => appendBatch(database, units, op),
    readAggregate: (query, op) => readAggregatePage(database, query, op),
    readEventsById: (query, op) => readEventIdPage(database, query, op),
    readAll: (query, op) => readLogPage(database, query, op),
    head: (op) => readHead(database, op),
    positionBefore: (time, op) => readPositionBefore(database, time, op),
    frontierHolders: (op) => readFrontierHolders(database, op),
    transaction: (work, op) => transact(database, op, work),
    within: (tx) => createPort(database, tx),
    consumers: {
      ...createConsumerRecords(database),
      ...createLayoutRecords(database),
      ...createVersionRecords(database),
    },
    zones: createZoneRecords(database),
    sagas: createSagaReader(database),
    deadlines: createDeadlineReader(database),
    deadLetters: createLetterRecords(database),
    claims: createClaimRecords(database),
    members: createMemberRecords(database),
    snapshots: createSnapshotRecords(database),
    identities: createIdentityRecords(database),
    packs: createPackRecords(database),
    close: async () => {
      // The database belongs to whoever made it, and may have other stores. Nothing else was opened.
    },
  };
}

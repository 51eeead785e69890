import type { ConsumerKey } from "@tidemark/core";
import {
  compareBytes,
  type ConsumerDeclaration,
  type ConsumerRecords,
  type ConsumerRow,
  type Fence,
  type Operation,
  type SegmentKey,
  type SegmentRow,
  type SegmentState,
  throwIfAborted,
} from "@tidemark/core/spi";
import { removeClaims } from "./claims.ts";
import { removeCompletions } from "./completions.ts";
import {
  consumerNameKey,
  type ConsumerRecord,
  consumerRowKey,
  type Database,
  memberRowKey,
  type SegmentRecord,
  segmentRowKey,
} from "./database.ts";
import { removeLetters } from "./dead-letters.ts";
import { lookAt } from "./look.ts";
import type { Transaction } from "./memory-transaction.ts";
import { transact } from "./transaction.ts";

/**
 * Whoever changes a consumer locks its row first, then those of its segments, ascending; before that its name, where
 * other versions matter. Of these, a consumer's
 * transaction locks a segment's row only, by its fence: so it waits for these calls or they for it, but not in a circle.
 *
 * `reset` and `remove` go on to what the consumer's transactions have written, and must come last: with the segments
 * locked, no transaction can commit more of it. One that is under way has it locked in the other order. The circle is
 * broken when it fences, with CONTENTION, and its next try finds the zone lost.
 */
export function createConsumerRecords(
  database: Database,
): Omit<ConsumerRecords, "requestLayout" | "applyLayout" | "promote"> {
  const { consumers, segments } = database;
  return {
    declare: (declaration, op) =>
      transact(database, op, async (transaction) => {
        const { key } = declaration;
        await lockName(database, key.name, transaction, op);
        await transaction.lock(consumers, consumerRowKey(key), op);
        const known = consumers.get(consumerRowKey(key), transaction);
        if (known?.kind !== undefined) return toRow(database, known, transaction);

        const versions = [...consumers.find(key.name, transaction)];
        const record = declared(declaration, known, !versions.some((version) => version.active));
        consumers.set(consumerRowKey(key), record, transaction);
        for (const segmentKey of segmentKeys(record)) {
          const rowKey = segmentRowKey(segmentKey);
          await transaction.lock(segments, rowKey, op);
          // A consumer that failed before it was declared keeps its errors.
          const row = segments.get(rowKey, transaction) ?? NEW_SEGMENT;
          segments.set(rowKey, { ...row, position: declaration.position }, transaction);
        }
        return toRow(database, record, transaction);
      }),

    get: async (key, op) => {
      throwIfAborted(op.signal);
      const record = consumers.get(consumerRowKey(key));
      return record === undefined ? undefined : toRow(database, record);
    },

    look: async (looked, op) => {
      throwIfAborted(op.signal);
      return looked.map((about) => {
        const record = consumers.get(consumerRowKey(about.key));
        return record === undefined ? undefined : lookAt(database, toRow(database, record), about);
      });
    },

    list: async (after, limit, op) => {
      throwIfAborted(op.signal);
      return [...consumers.entries().values()]
        .filter(({ key }) => after === undefined || compareKeys(key, after) > 0)
        .toSorted((a, b) => compareKeys(a.key, b.key))
        .slice(0, limit)
        .map((record) => toRow(database, record));
    },

    setEnabled: (key, enabled, op) =>
      transact(database, op, async (transaction) => {
        const record = await lockOrWriteConsumer(database, key, transaction, op);
        consumers.set(consumerRowKey(key), { ...record, enabled }, transaction);
      }),

    recordError: (key, text, op) =>
      transact(database, op, async (transaction) => {
        await lockOrWriteConsumer(database, key, transaction, op);
        const rowKey = segmentRowKey(key);
        await transaction.lock(segments, rowKey, op);
        const row = segments.get(rowKey, transaction);
        if (row === undefined) return;
        const now = database.now();
        const { since = now, count = 0 } = row.error ?? {};
        segments.set(rowKey, { ...row, error: { since, lastAt: now, count: count + 1, text } }, transaction);
      }),

    reset: (key, position, op) =>
      transact(database, op, async (transaction) => {
        const record = await lockWithSegments(database, key, transaction, op);
        if (record?.kind === undefined) return "unknown";
        const now = database.now();
        const rows = segmentRows(database, record, transaction);
        if (rows.some(({ row }) => row.expiresAt > now)) return "held";
        for (const { rowKey, row } of rows) {
          const token = database.nextToken();
          const changed = { ...row, position, token, committedAt: now, owner: undefined, expiresAt: 0 };
          segments.set(rowKey, changed, transaction);
        }
        await removeClaims(database, key, transaction, op);
        await removeCompletions(database, key, transaction, op);
        return "done";
      }),

    remove: (key, op) =>
      transact(database, op, async (transaction) => {
        await lockName(database, key.name, transaction, op);
        const record = await lockWithSegments(database, key, transaction, op);
        const versions = [...consumers.find(key.name, transaction)].filter(({ kind }) => kind !== undefined);
        if (record?.active === true && versions.length > 1) return "active";
        if (record !== undefined) {
          consumers.set(consumerRowKey(key), undefined, transaction);
          for (const segmentKey of segmentKeys(record)) segments.set(segmentRowKey(segmentKey), undefined, transaction);
        }
        await removeLetters(database, key, transaction, op);
        await removeClaims(database, key, transaction, op);
        await removeCompletions(database, key, transaction, op);
        for (const { member } of [...database.members.find(consumerRowKey(key), transaction)]) {
          await transaction.lock(database.members, memberRowKey(key, member), op);
          database.members.set(memberRowKey(key, member), undefined, transaction);
        }
        return "done";
      }),
  };
}

export async function readSegment(
  { segments }: Database,
  transaction: Transaction,
  key: SegmentKey,
  op: Operation,
): Promise<SegmentState | undefined> {
  throwIfAborted(op.signal);
  transaction.check();
  const row = segments.get(segmentRowKey(key), transaction);
  return row === undefined ? undefined : { position: row.position, token: row.token };
}

/**
 * True when the checkpoint was moved: token and position were as given. Until the transaction ends, the row's lock keeps
 * out whoever would raise the token.
 */
export async function moveCheckpoint(
  database: Database,
  transaction: Transaction,
  fence: Fence,
  op: Operation,
): Promise<boolean> {
  const { segments } = database;
  const { token, from, to, leaseMs } = fence;
  const rowKey = segmentRowKey(fence.key);
  await transaction.lock(segments, rowKey, op);
  const row = segments.get(rowKey, transaction);
  if (row?.token !== token || row.position !== from) return false;
  const now = database.now();
  const error = fence.clearError ? undefined : row.error;
  segments.set(rowKey, { ...row, position: to, committedAt: now, expiresAt: now + leaseMs, error }, transaction);
  return true;
}

const NEW_SEGMENT: SegmentRecord = Object.freeze({
  position: undefined,
  committedAt: undefined,
  owner: undefined,
  token: 0n,
  expiresAt: 0,
  error: undefined,
});

/** What was known before the declaration is at most whether the consumer is enabled. */
function declared(
  declaration: ConsumerDeclaration,
  known: ConsumerRecord | undefined,
  active: boolean,
): ConsumerRecord {
  const { key, kind, start, logId, segments } = declaration;
  const enabled = known?.enabled ?? true;
  return { key, kind, start, logId, enabled, active, generation: 1, segments, layout: undefined };
}

/** Nobody else adds, removes or promotes a version of the consumer until the transaction ends. */
export async function lockName(
  { consumers }: Database,
  name: string,
  transaction: Transaction,
  op: Operation,
): Promise<void> {
  await transaction.lock(consumers, consumerNameKey(name), op);
}

/** Locks the consumer's row; writes one, with one segment, for a consumer of which nothing is known yet. */
async function lockOrWriteConsumer(
  database: Database,
  { name, version }: ConsumerKey,
  transaction: Transaction,
  op: Operation,
): Promise<ConsumerRecord> {
  const key = { name, version };
  await transaction.lock(database.consumers, consumerRowKey(key), op);
  const known = database.consumers.get(consumerRowKey(key), transaction);
  if (known !== undefined) return known;
  const record: ConsumerRecord = {
    key,
    kind: undefined,
    start: undefined,
    logId: undefined,
    enabled: true,
    active: false,
    generation: 1,
    segments: 1,
    layout: undefined,
  };
  database.consumers.set(consumerRowKey(key), record, transaction);
  for (const segmentKey of segmentKeys(record)) {
    await transaction.lock(database.segments, segmentRowKey(segmentKey), op);
    database.segments.set(segmentRowKey(segmentKey), NEW_SEGMENT, transaction);
  }
  return record;
}

/** Locks the consumer's row. Undefined for one that is not declared. */
export async function lockDeclared(
  { consumers }: Database,
  key: ConsumerKey,
  transaction: Transaction,
  op: Operation,
): Promise<ConsumerRecord | undefined> {
  await transaction.lock(consumers, consumerRowKey(key), op);
  const record = consumers.get(consumerRowKey(key), transaction);
  return record?.kind === undefined ? undefined : record;
}

/** Locks the consumer's row and those of all its segments. */
export async function lockWithSegments(
  database: Database,
  key: ConsumerKey,
  transaction: Transaction,
  op: Operation,
): Promise<ConsumerRecord | undefined> {
  await transaction.lock(database.consumers, consumerRowKey(key), op);
  const record = database.consumers.get(consumerRowKey(key), transaction);
  if (record === undefined) return undefined;
  for (const segmentKey of segmentKeys(record))
    await transaction.lock(database.segments, segmentRowKey(segmentKey), op);
  return record;
}

export function segmentKeys({ key, generation, segments }: ConsumerRecord): readonly SegmentKey[] {
  return Array.from({ length: segments }, (_, segment) => ({ ...key, generation, segment }));
}

export interface StoredSegment {
  readonly segment: number;
  readonly rowKey: string;
  readonly row: SegmentRecord;
}

export function segmentRows(
  database: Database,
  record: ConsumerRecord,
  transaction?: Transaction,
): readonly StoredSegment[] {
  return segmentKeys(record).map((key) => {
    const rowKey = segmentRowKey(key);
    return { segment: key.segment, rowKey, row: database.segments.get(rowKey, transaction) ?? NEW_SEGMENT };
  });
}

/** As it is stored, with its segments. */
export function toRow(database: Database, record: ConsumerRecord, transaction?: Transaction): ConsumerRow {
  const now = database.now();
  const segments = segmentRows(database, record, transaction).map(({ segment, row }): SegmentRow => {
    const { expiresAt, ...rest } = row;
    return { segment, ...rest, held: expiresAt > now };
  });
  return { ...record, key: { ...record.key }, segments };
}

function compareKeys(a: ConsumerKey, b: ConsumerKey): number {
  return compareBytes(a.name, b.name) || a.version - b.version;
}

import type {
  ConsumerKey,
  ConsumerLook,
  ConsumerRecords,
  ConsumerRow,
  Fence,
  SegmentKey,
  SegmentState,
} from "@tidemark/core/spi";
import { decodeConsumer, decodeSegment, decodeSegmentState, storable } from "@tidemark/sql-kit";
import { type Connection, numbers } from "./connection.ts";
import { transactionEnded } from "./errors.ts";
import type { Session } from "./session.ts";
import type { Statements } from "./statements.ts";

/** Whoever changes a consumer locks its row first, then those of its segments, then what else is stored of it. */
export function createConsumerRecords(
  session: () => Session,
  sql: Statements,
): Omit<ConsumerRecords, "requestLayout" | "applyLayout" | "promote"> {
  return {
    declare: ({ key, kind, segments, start, position, logId }, op) =>
      session().write(op, async (connection) => {
        await connection.run(sql.lockName, key.name);
        const declared = await connection.run(sql.declareConsumer, key.name, key.version, kind, start, logId);
        // None: it is declared already, and what is stored stands.
        if (declared === 1) await connection.run(sql.declareSegments, key.name, key.version, segments, position);
        const row = await readConsumer(connection, sql, key);
        if (row === undefined) throw new TypeError("A consumer that was just declared is not there.");
        return row;
      }),

    get: (key, op) => session().read(op, (connection) => readConsumer(connection, sql, key)),

    look: (looked, op) =>
      session().read(op, async (connection) => {
        const names = looked.map(({ key }) => key.name);
        const versions = numbers(looked.map(({ key }) => key.version));
        const sagas = looked.map(({ saga }) => saga ?? null);
        const rows = (await connection.all(sql.look, names, versions, sagas)).map(asLook);
        return looked.map((_about, index) => rows.find((row) => row.n === index + 1)?.look);
      }),

    list: (after, limit, op) =>
      session().read(op, async (connection) => {
        const rows = await connection.all(sql.consumersAfter, after?.name ?? "", after?.version ?? 0, limit);
        return rows.map(withSegments);
      }),

    setEnabled: (key, enabled, op) =>
      session().autocommit(op, async (connection) => {
        await connection.run(sql.setEnabled, key.name, key.version, enabled);
      }),

    recordError: ({ name, version, generation, segment }, text, op) =>
      session().write(op, async (connection) => {
        await connection.run(sql.knowConsumer, name, version, generation);
        await connection.run(sql.knowSegment, name, version, generation, segment);
        await connection.run(sql.recordError, name, version, generation, segment, storable(text));
      }),

    reset: (key, position, op) =>
      session().write(op, async (connection) => {
        const { name, version } = key;
        if (!(await lockDeclared(connection, sql, key))) return "unknown";
        if (await lockUnlessHeld(connection, sql, key)) return "held";
        await connection.run(sql.resetSegments, name, version, position);
        await connection.run(sql.removeProgress, name, version);
        return "done";
      }),

    /**
     * Each statement sees what was committed while the one before it waited: with the segments gone, no transaction of
     * the consumer can commit more. One that is under way may have locked what it has written in the other order; the
     * circle is broken with CONTENTION.
     */
    remove: ({ name, version }, op) =>
      session().write(op, async (connection) => {
        await connection.run(sql.lockName, name);
        if ((await connection.number(sql.isNeeded, name, version)) === 1) return "active";
        await connection.run(sql.knowConsumer, name, version, 1);
        await connection.run(sql.removeSegments, name, version);
        await connection.run(sql.removeConsumerLetters, name, version);
        await connection.run(sql.removeProgress, name, version);
        await connection.run(sql.removeMembers, name, version);
        await connection.run(sql.removeConsumer, name, version);
        return "done";
      }),
  };
}

export async function readSegment(
  connection: Connection,
  sql: Statements,
  key: SegmentKey,
): Promise<SegmentState | undefined> {
  return decodeSegmentState(await connection.get(sql.segment, key.name, key.version, key.generation, key.segment));
}

/**
 * True when the checkpoint was moved: token and position were as given. `mark` is of a lent transaction; where it is
 * not in force any more, that transaction is over.
 */
export async function moveCheckpoint(
  connection: Connection,
  sql: Statements,
  fence: Fence,
  mark: string | undefined,
): Promise<boolean> {
  const { key, token, from, to, leaseMs, clearError } = fence;
  const { name, version, generation, segment } = key;
  const where = [name, version, generation, segment, token, from];
  if ((await connection.run(sql.fence, ...where, to, leaseMs, clearError, mark)) === 1) return true;
  if (mark !== undefined && (await readMark(connection, sql)) !== mark) throw transactionEnded();
  return false;
}

async function readMark(connection: Connection, sql: Statements): Promise<string | null> {
  const row = await connection.get(sql.mark);
  return (row as { readonly mark: string | null }).mark;
}

export async function readConsumer(
  connection: Connection,
  sql: Statements,
  key: ConsumerKey,
): Promise<ConsumerRow | undefined> {
  const row = await connection.get(sql.consumer, key.name, key.version);
  return row === undefined ? undefined : withSegments(row);
}

/** Segments come with their consumer, as JSON, so that both are of one moment. */
function withSegments(row: unknown): ConsumerRow {
  const { segments } = row as { readonly segments: string };
  const rows = JSON.parse(segments) as readonly unknown[];
  return { ...decodeConsumer(row), segments: rows.map(decodeSegment) };
}

function asLook(row: unknown): { readonly n: number; readonly look: ConsumerLook } {
  const { n, requested, due_in } = row as {
    readonly n: number;
    /** JSON: whole numbers. */
    readonly requested: string;
    readonly due_in: number | null;
  };
  const buckets = JSON.parse(requested) as readonly number[];
  return { n, look: { row: withSegments(row), requested: buckets, dueInMs: due_in ?? undefined } };
}

export async function lockDeclared(connection: Connection, sql: Statements, key: ConsumerKey): Promise<boolean> {
  const row = await connection.get(sql.lockConsumer, key.name, key.version);
  return row !== undefined && (row as { readonly kind: string | null }).kind !== null;
}

/** Whether somebody holds a zone of the consumer; if not, nobody can enter one before the transaction has ended. */
export async function lockUnlessHeld(connection: Connection, sql: Statements, key: ConsumerKey): Promise<boolean> {
  return asLocked(await connection.get(sql.lockSegments, key.name, key.version)).held;
}

function asLocked(row: unknown): { readonly held: boolean } {
  return row as { readonly held: boolean };
}

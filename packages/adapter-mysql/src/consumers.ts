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
import { anyOf, type Connection, list, rows, type Value } from "./connection.ts";
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
        const { name, version } = key;
        await connection.run(sql.lockName, name);
        // Else what is stored stands.
        if (!(await lockDeclared(connection, sql, key))) {
          const active = (await connection.number(sql.anyActive, name)) === 0;
          await connection.run(sql.declareConsumer, name, version, kind, active, start, logId);
          const token = await connection.number(sql.baseToken);
          await connection.run(
            sql.declareSegments,
            rows(numbersBelow(segments).map((segment) => [name, version, 1, segment, position, token])),
          );
        }
        const row = await readConsumer(connection, sql, key);
        if (row === undefined) throw new TypeError("A consumer that was just declared is not there.");
        return row;
      }),

    get: (key, op) => session().read(op, (connection) => readConsumer(connection, sql, key)),

    look: (looked, op) =>
      session().read(op, async (connection) => {
        const keys = looked.map(({ key }) => key);
        const sagas = looked.flatMap(({ saga }) => saga ?? []);
        const found = await connection.all(
          sql.look,
          anyOfConsumers(keys, ["found.name", "found.version"]),
          anyOfConsumers(keys),
          list(sagas),
        );
        const { consumers, requested, dueIn } = asLooks(found);
        return looked.map(({ key, saga }): ConsumerLook | undefined => {
          const of = consumers.get(keyText(key));
          return of === undefined
            ? undefined
            : {
                row: withSegments(of),
                requested: (requested.get(keyText(key)) ?? []).toSorted((a, b) => a - b),
                dueInMs: saga === undefined ? undefined : dueIn.get(saga),
              };
        });
      }),

    list: (after, limit, op) =>
      session().read(op, async (connection) => {
        const found = await connection.all(sql.consumersAfter, after?.name ?? "", after?.version ?? 0, limit);
        return [...byConsumer(found.map(asColumns)).values()].map(withSegments);
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
        await connection.run(sql.removeConsumerClaims, name, version);
        await connection.run(sql.removeConsumerCompletions, name, version);
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
        const token = await connection.number(sql.tokenAbove, name, version);
        await connection.run(sql.removeSegments, name, version);
        await connection.run(sql.removeConsumerSequences, name, version);
        await connection.run(sql.removeConsumerLetters, name, version);
        await connection.run(sql.removeConsumerClaims, name, version);
        await connection.run(sql.removeConsumerCompletions, name, version);
        await connection.run(sql.removeMembers, name, version);
        await connection.run(sql.removeConsumer, name, version);
        // Last, because everybody who removes a consumer waits for it.
        if (token > 0) await connection.run(sql.raiseBaseToken, token);
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

/** True when the checkpoint was moved: token and position were as given. */
export async function moveCheckpoint(connection: Connection, sql: Statements, fence: Fence): Promise<boolean> {
  const { key, token, from, to, leaseMs, clearError } = fence;
  const { name, version, generation, segment } = key;
  const where = [name, version, generation, segment, token, from];
  return (await connection.run(sql.fence, ...where, to, leaseMs, clearError)) === 1;
}

export async function readConsumer(
  connection: Connection,
  sql: Statements,
  key: ConsumerKey,
): Promise<ConsumerRow | undefined> {
  const found = (await connection.all(sql.consumer, key.name, key.version)).map(asColumns);
  return found.length === 0 ? undefined : withSegments(found);
}

/** Of the statements that yield a consumer with its segments: a row for each, of one moment. */
interface ConsumerColumns {
  readonly name: string;
  readonly version: number;
  /** Null in the only row of a consumer that has no segments. */
  readonly segment: number | null;
}

function asColumns(row: unknown): ConsumerColumns {
  return row as ConsumerColumns;
}

/** By name and version, in the order of the rows. */
function byConsumer(found: readonly ConsumerColumns[]): ReadonlyMap<string, readonly ConsumerColumns[]> {
  const consumers = new Map<string, ConsumerColumns[]>();
  for (const row of found) add(consumers, keyText(row), row);
  return consumers;
}

function withSegments(found: readonly ConsumerColumns[]): ConsumerRow {
  const ordered = found.toSorted((a, b) => (a.segment ?? 0) - (b.segment ?? 0));
  const segments = ordered.filter(({ segment }) => segment !== null).map(decodeSegment);
  return { ...decodeConsumer(ordered[0]), segments };
}

interface Looks {
  readonly consumers: ReadonlyMap<string, readonly ConsumerColumns[]>;
  /** Buckets, by consumer. */
  readonly requested: ReadonlyMap<string, readonly number[]>;
  /** Milliseconds, by saga. */
  readonly dueIn: ReadonlyMap<string, number>;
}

type LookColumns =
  | (ConsumerColumns & { readonly part: "consumer" })
  | (ConsumerKey & { readonly part: "request"; readonly bucket: number })
  | { readonly part: "deadline"; readonly name: string; readonly due_in: number };

function asLookColumns(row: unknown): LookColumns {
  return row as LookColumns;
}

function asLooks(found: readonly unknown[]): Looks {
  const consumers = new Map<string, ConsumerColumns[]>();
  const requested = new Map<string, number[]>();
  const dueIn = new Map<string, number>();
  for (const row of found.map(asLookColumns)) {
    if (row.part === "consumer") add(consumers, keyText(row), row);
    else if (row.part === "request") add(requested, keyText(row), row.bucket);
    else dueIn.set(row.name, row.due_in);
  }
  return { consumers, requested, dueIn };
}

function add<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const known = lists.get(key);
  if (known === undefined) lists.set(key, [item]);
  else known.push(item);
}

/** For `where $1`: any of these consumers, in rows with these columns. */
export function anyOfConsumers(
  consumers: readonly ConsumerKey[],
  columns: readonly [name: string, version: string] = ["name", "version"],
): Value {
  return anyOf(
    columns,
    consumers.map(({ name, version }) => [name, version]),
  );
}

function keyText({ name, version }: ConsumerKey): string {
  return `${version} ${name}`;
}

/** 0 … `count` - 1. */
export function numbersBelow(count: number): readonly number[] {
  return Array.from({ length: count }, (_item, index) => index);
}

export async function lockDeclared(connection: Connection, sql: Statements, key: ConsumerKey): Promise<boolean> {
  const row = await connection.get(sql.lockConsumer, key.name, key.version);
  return row !== undefined && (row as { readonly kind: string | null }).kind !== null;
}

/** Whether somebody holds a zone of the consumer; if not, nobody can enter one before the transaction has ended. */
export async function lockUnlessHeld(
  connection: Connection,
  sql: Statements,
  { name, version }: ConsumerKey,
): Promise<boolean> {
  const { segments, held } = asLocked(await connection.get(sql.lockSegments, name, version));
  if (held === 1) return true;
  const { completions } = asProgress(await connection.get(sql.lockCompletions, name, version));
  const stored = asProgress(await connection.get(sql.countProgress, name, version));
  return segments < stored.segments || completions < stored.completions;
}

interface Progress {
  readonly segments: number;
  readonly completions: number;
}

function asLocked(row: unknown): { readonly segments: number; readonly held: number } {
  return row as { readonly segments: number; readonly held: number };
}

function asProgress(row: unknown): Progress {
  return row as Progress;
}

import { type Position, toPosition } from "@tidemark/core";
import type {
  ConsumerKey,
  ConsumerKind,
  ConsumerRecords,
  ConsumerRow,
  ErrorState,
  Fence,
  SegmentKey,
  SegmentRow,
  SegmentState,
} from "@tidemark/core/spi";
import type { Connection } from "./connection.ts";
import type { Sessions } from "./session.ts";
import type { Statements } from "./statements.ts";

export function createConsumerRecords(sessions: () => Sessions, sql: Statements): ConsumerRecords {
  return {
    declare: ({ key, kind, segments, start, position, logId }, op) =>
      sessions().writer.write(op, (connection) => {
        const { changes } = connection.run(sql.declareConsumer, key.name, key.version, kind, start, logId);
        // No change: it is declared already, and what is stored stands.
        const missing = changes === 0 ? 0 : segments;
        for (let segment = 0; segment < missing; segment++) {
          connection.run(sql.declareSegment, key.name, key.version, segment, position);
        }
        const row = readConsumer(connection, sql, key);
        if (row === undefined) throw new TypeError("A consumer that was just declared is not there.");
        return row;
      }),

    get: (key, op) => sessions().reader.read(op, (connection) => readConsumer(connection, sql, key)),

    list: (after, limit, op) =>
      sessions().reader.read(op, (connection) =>
        connection
          .all(sql.consumersAfter, after?.name ?? "", after?.version ?? 0, limit)
          .map((row) => withSegments(connection, sql, row)),
      ),

    setEnabled: (key, enabled, op) =>
      sessions().writer.write(op, (connection) => {
        connection.run(sql.setEnabled, key.name, key.version, enabled ? 1 : 0);
      }),

    recordError: ({ name, version, generation, segment }, text, op) =>
      sessions().writer.write(op, (connection) => {
        connection.run(sql.knowConsumer, name, version, generation);
        connection.run(sql.recordError, name, version, generation, segment, text);
      }),

    reset: async (key, position, op) => {
      const { reader, writer } = sessions();
      const anyHeld = (connection: Connection): boolean => connection.number(sql.anyHeld, key.name, key.version) === 1;
      // Looks before it asks for the write lock, which the zone's holder may have.
      if (await reader.glance(op, anyHeld)) return "held";
      return writer.write(op, (connection) => {
        const row = readConsumer(connection, sql, key);
        if (row?.kind === undefined) return "unknown";
        if (anyHeld(connection)) return "held";
        connection.run(sql.resetSegments, position, nextToken(connection, sql), key.name, key.version);
        connection.run(sql.removeConsumerClaims, key.name, key.version);
        connection.run(sql.removeConsumerCompletions, key.name, key.version);
        return "done";
      });
    },

    remove: (key, op) =>
      sessions().writer.write(op, (connection) => {
        connection.run(sql.removeSegments, key.name, key.version);
        connection.run(sql.removeConsumer, key.name, key.version);
        connection.run(sql.removeConsumerLetters, key.name, key.version);
        connection.run(sql.removeConsumerSequences, key.name, key.version);
        connection.run(sql.removeConsumerClaims, key.name, key.version);
        connection.run(sql.removeConsumerCompletions, key.name, key.version);
      }),
  };
}

/** Higher than every token that was given out before. */
export function nextToken(connection: Connection, sql: Statements): number {
  return connection.number(sql.nextToken);
}

export function readSegment(connection: Connection, sql: Statements, key: SegmentKey): SegmentState | undefined {
  const row = connection.get(sql.segment, key.name, key.version, key.generation, key.segment);
  if (row === undefined) return undefined;
  const { position, token } = row as Pick<SegmentColumns, "position" | "token">;
  return { position: decodePosition(position), token: BigInt(token) };
}

/** True when the checkpoint was moved: token and position were as given. */
export function moveCheckpoint(connection: Connection, sql: Statements, fence: Fence): boolean {
  const { key, token, from, to, leaseMs } = fence;
  const { changes } = connection.run(sql.fence, {
    ...key,
    token,
    from,
    to,
    leaseMs,
    clearError: fence.clearError ? 1 : 0,
  });
  return changes === 1;
}

function readConsumer(connection: Connection, sql: Statements, key: ConsumerKey): ConsumerRow | undefined {
  const row = connection.get(sql.consumer, key.name, key.version);
  return row === undefined ? undefined : withSegments(connection, sql, row);
}

interface ConsumerColumns {
  readonly name: string;
  readonly version: number;
  readonly kind: ConsumerKind | null;
  readonly enabled: number;
  readonly generation: number;
  readonly start_rule: string | null;
  readonly log_id: string | null;
}

function withSegments(connection: Connection, sql: Statements, row: unknown): ConsumerRow {
  const { name, version, kind, enabled, generation, start_rule, log_id } = row as ConsumerColumns;
  return {
    key: { name, version },
    kind: kind ?? undefined,
    start: start_rule ?? undefined,
    logId: log_id ?? undefined,
    enabled: enabled === 1,
    generation,
    segments: connection.all(sql.segments, name, version, generation).map(decodeSegment),
  };
}

interface SegmentColumns {
  readonly segment: number;
  readonly position: number | null;
  readonly committed_at: number | null;
  readonly owner: string | null;
  readonly token: number;
  readonly held: number;
  readonly error_since: number | null;
  readonly error_at: number | null;
  readonly error_count: number;
  readonly error_text: string | null;
}

function decodeSegment(row: unknown): SegmentRow {
  const columns = row as SegmentColumns;
  return {
    segment: columns.segment,
    position: decodePosition(columns.position),
    committedAt: columns.committed_at ?? undefined,
    owner: columns.owner ?? undefined,
    token: BigInt(columns.token),
    held: columns.held === 1,
    error: decodeError(columns),
  };
}

function decodeError({ error_since, error_at, error_count, error_text }: SegmentColumns): ErrorState | undefined {
  if (error_since === null || error_at === null) return undefined;
  return { since: error_since, lastAt: error_at, count: error_count, text: error_text ?? "" };
}

function decodePosition(position: number | null): Position | undefined {
  return position === null ? undefined : toPosition(position);
}

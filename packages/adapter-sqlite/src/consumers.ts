import type {
  ConsumerKey,
  ConsumerLook,
  ConsumerRecords,
  ConsumerRow,
  Fence,
  Looked,
  SegmentKey,
  SegmentState,
} from "@tidemark/core/spi";
import { decodeConsumer, decodeSegment, decodeSegmentState } from "@tidemark/sql-kit";
import type { Connection } from "./connection.ts";
import type { Sessions } from "./session.ts";
import type { Statements } from "./statements.ts";

export function createConsumerRecords(
  sessions: () => Sessions,
  sql: Statements,
): Omit<ConsumerRecords, "requestLayout" | "applyLayout" | "promote"> {
  return {
    declare: ({ key, kind, segments, start, position, logId }, op) =>
      sessions().writer.write(op, (connection) => {
        const { changes } = connection.run(sql.declareConsumer, { ...key, kind, start, logId });
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

    look: (looked, op) =>
      sessions().reader.read(op, (connection) => looked.map((about) => lookAt(connection, sql, about))),

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
        connection.run(sql.knowSegment, segment, name, version, generation);
        connection.run(sql.recordError, text, name, version, generation, segment);
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
        if (connection.number(sql.isNeeded, { name: key.name, version: key.version }) === 1) return "active";
        connection.run(sql.removeSegments, key.name, key.version);
        connection.run(sql.removeConsumer, key.name, key.version);
        connection.run(sql.removeConsumerLetters, key.name, key.version);
        connection.run(sql.removeConsumerSequences, key.name, key.version);
        connection.run(sql.removeConsumerClaims, key.name, key.version);
        connection.run(sql.removeConsumerCompletions, key.name, key.version);
        connection.run(sql.removeMembers, key.name, key.version);
        return "done";
      }),
  };
}

/** Higher than every token that was given out before. */
export function nextToken(connection: Connection, sql: Statements): number {
  return connection.number(sql.nextToken);
}

export function readSegment(connection: Connection, sql: Statements, key: SegmentKey): SegmentState | undefined {
  return decodeSegmentState(connection.get(sql.segment, key.name, key.version, key.generation, key.segment));
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

/** What somebody who runs a consumer must know of it. */
function lookAt(connection: Connection, sql: Statements, { key, saga }: Looked): ConsumerLook | undefined {
  const row = readConsumer(connection, sql, key);
  if (row === undefined) return undefined;
  const requested = connection
    .all(sql.requestedBuckets, key.name, key.version)
    .map((letter) => (letter as { readonly bucket: number }).bucket);
  const deadline = saga === undefined ? undefined : connection.get(sql.earliestDeadline, saga);
  const dueInMs = deadline === undefined ? undefined : (deadline as { readonly due_in: number }).due_in;
  return { row, requested, dueInMs };
}

export function readConsumer(connection: Connection, sql: Statements, key: ConsumerKey): ConsumerRow | undefined {
  const row = connection.get(sql.consumer, key.name, key.version);
  return row === undefined ? undefined : withSegments(connection, sql, row);
}

function withSegments(connection: Connection, sql: Statements, row: unknown): ConsumerRow {
  const consumer = decodeConsumer(row);
  const { key, generation } = consumer;
  return { ...consumer, segments: connection.all(sql.segments, key.name, key.version, generation).map(decodeSegment) };
}

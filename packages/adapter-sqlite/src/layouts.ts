import { type Position, START } from "@tidemark/core";
import type { ConsumerKey, ConsumerRecords, ConsumerRow } from "@tidemark/core/spi";
import type { Connection } from "./connection.ts";
import { nextToken, readConsumer } from "./consumers.ts";
import type { Sessions } from "./session.ts";
import type { Statements } from "./statements.ts";

/** How a consumer gets another number of segments. */
export function createLayoutRecords(
  sessions: () => Sessions,
  sql: Statements,
): Pick<ConsumerRecords, "requestLayout" | "applyLayout"> {
  return {
    requestLayout: (key, layout, op) =>
      sessions().writer.write(op, (connection) => {
        const row = readConsumer(connection, sql, key);
        if (row?.kind === undefined) return "unknown";
        if (layout !== undefined && row.layout !== undefined) {
          return row.layout.segments === layout.segments ? "done" : "other";
        }
        connection.run(sql.requestLayout, layout?.segments ?? null, layout?.position ?? null, key.name, key.version);
        return "done";
      }),

    applyLayout: async (key, op) => {
      const { reader, writer } = sessions();
      // Looks before it asks for the write lock, which the zone's holder may have.
      const seen = await reader.glance(op, (connection) => readConsumer(connection, sql, key));
      const obstacle = lookForObstacle(seen);
      if (obstacle !== undefined && !isPassed(seen)) return obstacle;
      return writer.write(op, (connection) => apply(connection, sql, key));
    },
  };
}

type Obstacle = "unknown" | "none" | "not-drained" | "held";

function lookForObstacle(row: ConsumerRow | undefined): Obstacle | undefined {
  if (row?.kind === undefined) return "unknown";
  if (row.layout === undefined) return "none";
  const furthest = furthestOf(row, row.layout.position);
  if (row.segments.some(({ position }) => position !== furthest)) return "not-drained";
  return row.segments.some(({ held }) => held) ? "held" : undefined;
}

/** Whether a segment has gone past the position at which all were to stop. */
function isPassed(row: ConsumerRow | undefined): boolean {
  return row?.layout !== undefined && furthestOf(row, row.layout.position) > row.layout.position;
}

function furthestOf({ segments }: ConsumerRow, position: Position): Position {
  return segments.reduce((most, segment) => max(most, segment.position ?? START), position);
}

function apply(connection: Connection, sql: Statements, key: ConsumerKey): Obstacle | "done" {
  const row = readConsumer(connection, sql, key);
  const obstacle = lookForObstacle(row);
  if (row?.layout === undefined) return obstacle ?? "none";
  const { name, version } = key;
  const { layout, generation, segments } = row;
  const position = furthestOf(row, layout.position);
  if (position > layout.position) connection.run(sql.requestLayout, layout.segments, position, name, version);
  if (obstacle !== undefined) return obstacle;

  const committed = segments.flatMap(({ committedAt }) => committedAt ?? []);
  const committedAt = committed.length === 0 ? null : Math.max(...committed);
  connection.run(sql.nextGeneration, name, version);
  const token = nextToken(connection, sql);
  for (let segment = 0; segment < layout.segments; segment++) {
    connection.run(sql.insertSegment, name, version, generation + 1, segment, position, committedAt, token);
    connection.run(sql.carryCompletions, { name, version, generation, segment, position });
  }
  connection.run(sql.dropGenerations, name, version, generation);
  connection.run(sql.dropCompletions, name, version, generation);
  return "done";
}

function max(a: Position, b: Position): Position {
  return a > b ? a : b;
}

import { type Position, START } from "@tidemark/core";
import type { ConsumerRecords, ConsumerRow } from "@tidemark/core/spi";
import { lockDeclared, lockUnlessHeld, readConsumer } from "./consumers.ts";
import type { Session } from "./session.ts";
import type { Statements } from "./statements.ts";

/** How a consumer gets another number of segments. */
export function createLayoutRecords(
  session: () => Session,
  sql: Statements,
): Pick<ConsumerRecords, "requestLayout" | "applyLayout"> {
  return {
    requestLayout: (key, layout, op) =>
      session().write(op, async (connection) => {
        if (!(await lockDeclared(connection, sql, key))) return "unknown";
        const row = await readConsumer(connection, sql, key);
        if (layout !== undefined && row?.layout !== undefined) {
          return row.layout.segments === layout.segments ? "done" : "other";
        }
        await connection.run(sql.requestLayout, key.name, key.version, layout?.segments, layout?.position);
        return "done";
      }),

    applyLayout: (key, op) =>
      session().write(op, async (connection) => {
        const { name, version } = key;
        if (!(await lockDeclared(connection, sql, key))) return "unknown";
        const seen = await readConsumer(connection, sql, key);
        if (seen?.layout === undefined) return "none";
        const { segments } = seen.layout;
        const position = furthestOf(seen, seen.layout.position);
        if (position > seen.layout.position) {
          await connection.run(sql.requestLayout, name, version, segments, position);
        }
        if (!standAt(seen, position)) return "not-drained";
        if (await lockUnlessHeld(connection, sql, key)) return "held";
        // With the segments locked, this is what they are.
        const row = await readConsumer(connection, sql, key);
        if (row === undefined || !standAt(row, position)) return "not-drained";

        const committed = row.segments.flatMap(({ committedAt }) => committedAt ?? []);
        const committedAt = committed.length === 0 ? undefined : Math.max(...committed);
        const { generation } = row;
        await connection.run(sql.nextGeneration, name, version);
        await connection.run(sql.insertSegments, name, version, generation + 1, segments, position, committedAt);
        await connection.run(sql.carryCompletions, name, version, generation, segments, position);
        await connection.run(sql.dropGenerations, name, version, generation);
        return "done";
      }),
  };
}

function standAt(row: ConsumerRow, position: Position): boolean {
  return row.segments.every((segment) => segment.position === position);
}

function furthestOf({ segments }: ConsumerRow, position: Position): Position {
  return segments.reduce((most, segment) => max(most, segment.position ?? START), position);
}

function max(a: Position, b: Position): Position {
  return a > b ? a : b;
}

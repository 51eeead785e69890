import type { ConsumerRecords, ConsumerRow } from "@tidemark/core/spi";
import { nextToken, readConsumer } from "./consumers.ts";
import type { Sessions } from "./session.ts";
import type { Statements } from "./statements.ts";

/** How one version of a consumer takes the place of another. */
export function createVersionRecords(sessions: () => Sessions, sql: Statements): Pick<ConsumerRecords, "promote"> {
  return {
    promote: (name, from, to, op) =>
      sessions().writer.write(op, (connection) => {
        const before = readConsumer(connection, sql, { name, version: from });
        const after = readConsumer(connection, sql, { name, version: to });
        if (before?.kind === undefined || after?.kind === undefined) return "unknown";
        if (!before.active) return "inactive";
        if (before.layout !== undefined || after.layout !== undefined) return "segments";
        if (before.segments.length !== after.segments.length) return "segments";
        if (!standAlike(before, after)) return "positions";
        connection.run(sql.setActive, 0, 0, name, from);
        connection.run(sql.setActive, 1, 1, name, to);
        connection.run(sql.fenceSegments, nextToken(connection, sql), name, from, to);
        connection.run(sql.copyCompletions, { name, from, to, generation: after.generation });
        return "done";
      }),
  };
}

function standAlike(before: ConsumerRow, after: ConsumerRow): boolean {
  return before.segments.every(({ position }, index) => position === after.segments[index]?.position);
}

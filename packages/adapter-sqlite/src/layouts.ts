import {
  type ConsumerKey,
  type ConsumerRecords,
  type LayoutPlan,
  type NextGeneration,
  planLayout,
  planLayoutRequest,
} from "@tidemark/core/spi";
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
        const plan = planLayoutRequest(readConsumer(connection, sql, key), layout);
        if (plan.kind === "answer") return plan.outcome;
        const { segments = null, position = null } = plan.layout ?? {};
        connection.run(sql.requestLayout, segments, position, key.name, key.version);
        return "done";
      }),

    applyLayout: async (key, op) => {
      const { reader, writer } = sessions();
      const decide = (connection: Connection): LayoutPlan => planLayout(readConsumer(connection, sql, key));
      // Looks before it asks for the write lock, which the zone's holder may have.
      const seen = await reader.glance(op, decide);
      if (seen.kind === "answer" && seen.request === undefined) return seen.outcome;
      return writer.write(op, (connection) => {
        const plan = decide(connection);
        if (plan.kind === "answer") {
          const { outcome, request } = plan;
          if (request !== undefined) {
            connection.run(sql.requestLayout, request.segments, request.position, key.name, key.version);
          }
          return outcome;
        }
        writeGeneration(connection, sql, key, plan.next);
        return "done";
      });
    },
  };
}

function writeGeneration(connection: Connection, sql: Statements, key: ConsumerKey, next: NextGeneration): void {
  const { name, version } = key;
  const { generation, replaced, segments, position, committedAt = null } = next;
  connection.run(sql.nextGeneration, name, version);
  const token = nextToken(connection, sql);
  for (let segment = 0; segment < segments; segment++) {
    connection.run(sql.insertSegment, name, version, generation, segment, position, committedAt, token);
    connection.run(sql.carryCompletions, { name, version, generation: replaced, segment, position });
  }
  connection.run(sql.dropSegments, name, version, replaced);
  connection.run(sql.dropCompletions, name, version, replaced);
}

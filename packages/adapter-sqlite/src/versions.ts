import { type ConsumerRecords, planPromotion } from "@tidemark/core/spi";
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
        const plan = planPromotion(before, after);
        if (plan.kind === "answer") return plan.outcome;
        connection.run(sql.setActive, 0, 0, name, from);
        connection.run(sql.setActive, 1, 1, name, to);
        connection.run(sql.fenceSegments, nextToken(connection, sql), name, from, to);
        connection.run(sql.copyCompletions, { name, from, to, generation: plan.to.generation });
        return "done";
      }),
  };
}

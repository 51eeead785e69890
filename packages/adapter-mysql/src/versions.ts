import { type ConsumerRecords, planPromotion } from "@tidemark/core/spi";
import { readConsumer } from "./consumers.ts";
import type { Session } from "./session.ts";
import type { Statements } from "./statements.ts";

/** How one version of a consumer takes the place of another. */
export function createVersionRecords(session: () => Session, sql: Statements): Pick<ConsumerRecords, "promote"> {
  return {
    promote: (name, from, to, op) =>
      session().write(op, async (connection) => {
        await connection.run(sql.lockName, name);
        await connection.run(sql.lockVersions, name, from, to);
        await connection.run(sql.lockSegmentsOf, name, from, to);
        const before = await readConsumer(connection, sql, { name, version: from });
        const after = await readConsumer(connection, sql, { name, version: to });
        const plan = planPromotion(before, after);
        if (plan.kind === "answer") return plan.outcome;
        await connection.run(sql.setActive, name, from, false);
        await connection.run(sql.setActive, name, to, true);
        await connection.run(sql.fenceSegments, name, from, to);
        await connection.run(sql.copyCompletions, name, from, to, plan.to.generation);
        return "done";
      }),
  };
}

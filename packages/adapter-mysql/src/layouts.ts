import {
  type ConsumerKey,
  type ConsumerRecords,
  type NextGeneration,
  planLayout,
  planLayoutRequest,
} from "@tidemark/core/spi";
import { type Connection, rows } from "./connection.ts";
import { lockDeclared, lockUnlessHeld, numbersBelow, readConsumer } from "./consumers.ts";
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
        const plan = planLayoutRequest(await readConsumer(connection, sql, key), layout);
        if (plan.kind === "answer") return plan.outcome;
        await connection.run(sql.requestLayout, key.name, key.version, plan.layout?.segments, plan.layout?.position);
        return "done";
      }),

    applyLayout: (key, op) =>
      session().write(op, async (connection) => {
        if (!(await lockDeclared(connection, sql, key))) return "unknown";
        let plan = planLayout(await readConsumer(connection, sql, key));
        if (plan.kind === "write") {
          if (await lockUnlessHeld(connection, sql, key)) return "held";
          // With the segments locked, this is what they are.
          plan = planLayout(await readConsumer(connection, sql, key));
        }
        if (plan.kind === "answer") {
          const { outcome, request } = plan;
          if (request !== undefined) {
            await connection.run(sql.requestLayout, key.name, key.version, request.segments, request.position);
          }
          return outcome;
        }
        await writeGeneration(connection, sql, key, plan.next);
        return "done";
      }),
  };
}

async function writeGeneration(
  connection: Connection,
  sql: Statements,
  { name, version }: ConsumerKey,
  next: NextGeneration,
): Promise<void> {
  const { generation, replaced, segments, position, committedAt, token } = next;
  const numbers = numbersBelow(segments);
  await connection.run(sql.nextGeneration, name, version);
  await connection.run(
    sql.insertSegments,
    rows(numbers.map((segment) => [name, version, generation, segment, position, committedAt, token])),
  );
  await connection.run(sql.carryCompletions, name, version, replaced, position);
  await connection.run(sql.dropCompletions, name, version, replaced);
  await connection.run(sql.dropSegments, name, version, replaced);
}

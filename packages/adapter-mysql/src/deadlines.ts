import type { DeadlinePort, DeadlineReader } from "@tidemark/core/spi";
import { decodeDeadline } from "@tidemark/sql-kit";
import type { OpenSession } from "./session.ts";
import type { Statements } from "./statements.ts";

/** Deadlines as they are committed, or as an open transaction sees them. */
export function createDeadlineReader(session: () => Pick<OpenSession, "read">, sql: Statements): DeadlineReader {
  return {
    due: (saga, limit, op) =>
      session().read(op, async (connection) =>
        (await connection.all(sql.dueDeadlines, saga, limit)).map(decodeDeadline),
      ),
  };
}

export function createDeadlinePort(session: OpenSession, sql: Statements): DeadlinePort {
  return {
    ...createDeadlineReader(() => session, sql),

    set: (saga, { sagaId, name, dueAt, data }, op) =>
      session.write(op, async (connection) => {
        await connection.run(sql.setDeadline, saga, sagaId, name, dueAt, data);
      }),

    remove: (saga, sagaId, name, op) =>
      session.write(op, async (connection) => (await connection.run(sql.removeDeadline, saga, sagaId, name)) === 1),
  };
}

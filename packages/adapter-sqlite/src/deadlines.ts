import type { DeadlinePort, DeadlineReader, DeadlineRow } from "@tidemark/core/spi";
import type { OpenSession } from "./session.ts";
import type { Statements } from "./statements.ts";

/** Deadlines as they are committed, or as an open transaction sees them. */
export function createDeadlineReader(session: () => Pick<OpenSession, "read">, sql: Statements): DeadlineReader {
  return {
    due: (saga, limit, op) =>
      session().read(op, (connection) => connection.all(sql.dueDeadlines, saga, limit).map(decodeDeadline)),
  };
}

export function createDeadlinePort(session: OpenSession, sql: Statements): DeadlinePort {
  return {
    ...createDeadlineReader(() => session, sql),

    set: (saga, { sagaId, name, dueAt, data }, op) =>
      session.write(op, (connection) => {
        connection.run(sql.setDeadline, saga, sagaId, name, dueAt, data);
      }),

    remove: (saga, sagaId, name, op) =>
      session.write(op, (connection) => connection.run(sql.removeDeadline, saga, sagaId, name).changes === 1),
  };
}

interface DeadlineColumns {
  readonly saga_id: string;
  readonly name: string;
  readonly due_at: number;
  readonly data: string;
}

function decodeDeadline(row: unknown): DeadlineRow {
  const { saga_id, name, due_at, data } = row as DeadlineColumns;
  return { sagaId: saga_id, name, dueAt: due_at, data };
}

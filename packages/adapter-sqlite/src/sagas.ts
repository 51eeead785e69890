import type { Association, SagaPort, SagaReader } from "@tidemark/core/spi";
import { decodeSaga } from "@tidemark/sql-kit";
import type { Connection } from "./connection.ts";
import type { OpenSession } from "./session.ts";
import type { Statements } from "./statements.ts";

/** Sagas as they are committed, or as an open transaction sees them. */
export function createSagaReader(session: () => Pick<OpenSession, "read">, sql: Statements): SagaReader {
  return {
    get: (saga, id, op) =>
      session().read(op, (connection) => {
        const row = connection.get(sql.saga, saga, id);
        return row === undefined ? undefined : decodeSaga(row);
      }),

    find: (saga, { property, value }, op) =>
      session().read(op, (connection) => connection.all(sql.sagasByAssociation, saga, property, value).map(decodeSaga)),

    list: (saga, after, limit, op) =>
      session().read(op, (connection) => connection.all(sql.sagasAfter, saga, after ?? "", limit).map(decodeSaga)),
  };
}

export function createSagaPort(session: OpenSession, sql: Statements): SagaPort {
  return {
    ...createSagaReader(() => session, sql),

    insert: (saga, { id, associations, data }, op) =>
      session.write(op, (connection) => {
        if (connection.run(sql.insertSaga, saga, id, data).changes === 0) return false;
        insertAssociations(connection, sql, saga, id, associations);
        return true;
      }),

    update: (saga, { id, version, associations, data }, op) =>
      session.write(op, (connection) => {
        if (connection.run(sql.updateSaga, data, saga, id, version).changes === 0) return false;
        connection.run(sql.removeAssociations, saga, id);
        insertAssociations(connection, sql, saga, id, associations);
        return true;
      }),

    remove: (saga, id, version, op) =>
      session.write(op, (connection) => {
        if (connection.run(sql.removeSaga, saga, id, version).changes === 0) return false;
        connection.run(sql.removeAssociations, saga, id);
        connection.run(sql.removeDeadlines, saga, id);
        return true;
      }),
  };
}

function insertAssociations(
  connection: Connection,
  sql: Statements,
  saga: string,
  id: string,
  associations: readonly Association[],
): void {
  connection.run(sql.insertAssociations, saga, id, JSON.stringify(associations));
}

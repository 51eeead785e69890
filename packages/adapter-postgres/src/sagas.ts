import type { Association, SagaPort, SagaReader } from "@tidemark/core/spi";
import { decodeSaga, digestOf } from "@tidemark/sql-kit";
import type { OpenSession } from "./session.ts";
import type { Statements } from "./statements.ts";

/** Sagas as they are committed, or as an open transaction sees them. */
export function createSagaReader(session: () => Pick<OpenSession, "read">, sql: Statements): SagaReader {
  return {
    get: (saga, id, op) =>
      session().read(op, async (connection) => {
        const row = await connection.get(sql.saga, saga, id);
        return row === undefined ? undefined : decodeSaga(row);
      }),

    find: (saga, association, op) =>
      session().read(op, async (connection) => {
        const { property, value } = association;
        const rows = await connection.all(sql.sagasByAssociation, saga, digestOf(association), property, value);
        return rows.map(decodeSaga);
      }),

    list: (saga, after, limit, op) =>
      session().read(op, async (connection) =>
        (await connection.all(sql.sagasAfter, saga, after ?? "", limit)).map(decodeSaga),
      ),
  };
}

export function createSagaPort(session: OpenSession, sql: Statements): SagaPort {
  return {
    ...createSagaReader(() => session, sql),

    insert: (saga, { id, associations, data }, op) =>
      session.write(op, async (connection) => {
        const inserted = await connection.number(sql.insertSaga, saga, id, data, ...associationArrays(associations));
        return inserted === 1;
      }),

    update: (saga, { id, version, associations, data }, op) =>
      session.write(op, async (connection) => {
        const arrays = associationArrays(associations);
        return (await connection.number(sql.updateSaga, saga, id, data, version, ...arrays)) === 1;
      }),

    remove: (saga, id, version, op) =>
      session.write(op, async (connection) => (await connection.number(sql.removeSaga, saga, id, version)) === 1),
  };
}

function associationArrays(associations: readonly Association[]): readonly (readonly unknown[])[] {
  return [
    associations.map(digestOf),
    associations.map(({ property }) => property),
    associations.map(({ value }) => value),
  ];
}

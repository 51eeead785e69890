import { type Association, compareBytes, type SagaPort, type SagaReader, type SagaRow } from "@tidemark/core/spi";
import { decodeSaga, digestOf } from "@tidemark/sql-kit";
import { type Connection, list, rows } from "./connection.ts";
import type { OpenSession } from "./session.ts";
import type { Statements } from "./statements.ts";

/** Sagas as they are committed, or as an open transaction sees them. */
export function createSagaReader(session: () => Pick<OpenSession, "read">, sql: Statements): SagaReader {
  return {
    get: (saga, id, op) =>
      session().read(op, async (connection) => sagasOf(await connection.all(sql.saga, saga, id))[0]),

    find: (saga, association, op) =>
      session().read(op, async (connection) => {
        const found = sagasOf(await connection.all(sql.sagasByAssociation, saga, digestOf(association)));
        return found.filter(({ associations }) => associations.some((other) => isSame(other, association)));
      }),

    list: (saga, after, limit, op) =>
      session().read(op, async (connection) => sagasOf(await connection.all(sql.sagasAfter, saga, after ?? "", limit))),
  };
}

export function createSagaPort(session: OpenSession, sql: Statements): SagaPort {
  return {
    ...createSagaReader(() => session, sql),

    insert: (saga, { id, associations, data }, op) =>
      session.write(op, async (connection) => {
        if ((await connection.run(sql.insertSaga, saga, id, data)) === 0) return false;
        await insertAssociations(connection, sql, saga, id, associations);
        return true;
      }),

    update: (saga, { id, version, associations, data }, op) =>
      session.write(op, async (connection) => {
        if ((await connection.run(sql.updateSaga, saga, id, data, version)) === 0) return false;
        await connection.run(sql.removeAssociations, saga, id, list(associations.map(digestOf)));
        await insertAssociations(connection, sql, saga, id, associations);
        return true;
      }),

    remove: (saga, id, version, op) =>
      session.write(op, async (connection) => {
        if ((await connection.run(sql.removeSaga, saga, id, version)) === 0) return false;
        await connection.run(sql.removeAssociations, saga, id, list([]));
        await connection.run(sql.removeDeadlines, saga, id);
        return true;
      }),
  };
}

async function insertAssociations(
  connection: Connection,
  sql: Statements,
  saga: string,
  id: string,
  associations: readonly Association[],
): Promise<void> {
  if (associations.length === 0) return;
  const given = associations.map((association) => [
    saga,
    digestOf(association),
    id,
    association.property,
    association.value,
  ]);
  await connection.run(sql.insertAssociations, rows(given));
}

/** A row for each saga, whose data comes once, and one for each association. */
type SagaColumns = { readonly id: string } & (
  | { readonly version: number; readonly data: string; readonly property: null }
  | { readonly version: null; readonly property: string; readonly value: string }
);

function asSagaColumns(row: unknown): SagaColumns {
  return row as SagaColumns;
}

/** Ascending by id. */
function sagasOf(found: readonly unknown[]): readonly SagaRow[] {
  const columns = found.map(asSagaColumns);
  const associations = new Map<string, Association[]>();
  for (const row of columns) {
    if (row.property === null) associations.set(row.id, []);
  }
  for (const row of columns) {
    if (row.property !== null) associations.get(row.id)?.push({ property: row.property, value: row.value });
  }
  return columns
    .filter((row) => row.property === null)
    .toSorted((a, b) => compareBytes(a.id, b.id))
    .map((row) => decodeSaga({ ...row, associations: textOf(associations.get(row.id) ?? []) }));
}

/** As decoders of rows take them. */
function textOf(associations: readonly Association[]): string {
  const ordered = associations.toSorted((a, b) => compareBytes(a.property, b.property));
  return JSON.stringify(ordered.map(({ property, value }) => [property, value]));
}

function isSame(a: Association, b: Association): boolean {
  return a.property === b.property && a.value === b.value;
}

import type { PackPort } from "@tidemark/core/spi";
import { eachAlone, type OpenSession, type Session } from "./session.ts";
import type { Statements } from "./statements.ts";

export function createPackRecords(session: () => Session, sql: Statements): PackPort {
  return createPackPort(eachAlone(session), sql);
}

export function createPackPort(session: OpenSession, sql: Statements): PackPort {
  return {
    store: ({ type, systemId }, vector, events, op) =>
      session.write(op, async (connection) => {
        await connection.run(sql.storePack, type, systemId, vector, events);
      }),

    get: ({ type, systemId }, vector, op) =>
      session.read(op, async (connection) => {
        const row = await connection.get(sql.pack, type, systemId, vector);
        return row === undefined ? undefined : decodeEvents(row);
      }),
  };
}

function decodeEvents(row: unknown): string {
  return (row as { readonly events: string }).events;
}

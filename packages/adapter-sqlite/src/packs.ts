import type { PackPort } from "@tidemark/core/spi";
import { eachAlone, type OpenSession, type Sessions } from "./session.ts";
import type { Statements } from "./statements.ts";

export function createPackRecords(sessions: () => Sessions, sql: Statements): PackPort {
  return createPackPort(eachAlone(sessions), sql);
}

export function createPackPort(session: OpenSession, sql: Statements): PackPort {
  return {
    store: ({ type, systemId }, vector, events, op) =>
      session.write(op, (connection) => {
        connection.run(sql.storePack, type, systemId, vector, events);
      }),

    get: ({ type, systemId }, vector, op) =>
      session.read(op, (connection) => {
        const row = connection.get(sql.pack, type, systemId, vector);
        return row === undefined ? undefined : decodeEvents(row);
      }),
  };
}

function decodeEvents(row: unknown): string {
  return (row as { readonly events: string }).events;
}

import type { PackPort } from "@tidemark/core/spi";
import { piecesOf, roomIn } from "./pieces.ts";
import { eachAlone, type OpenSession, type Session } from "./session.ts";
import type { Statements } from "./statements.ts";

export function createPackRecords(session: () => Session, sql: Statements): PackPort {
  return createPackPort(eachAlone(session), sql);
}

export function createPackPort(session: OpenSession, sql: Statements): PackPort {
  return {
    store: ({ type, systemId }, vector, events, op) =>
      session.write(op, async (connection, profile) => {
        const pieces = piecesOf(events, roomIn(profile));
        let isNew = true;
        for (const [index, piece] of pieces.entries()) {
          const written = await connection.run(sql.storePackPiece, type, systemId, vector, index, piece);
          if (index === 0) isNew = written === INSERTED;
        }
        if (!isNew) await connection.run(sql.removePackPieces, type, systemId, vector, pieces.length);
      }),

    get: ({ type, systemId }, vector, op) =>
      session.read(op, async (connection) => {
        const pieces = await connection.all(sql.pack, type, systemId, vector);
        return pieces.length === 0 ? undefined : pieces.map(decodeEvents).join("");
      }),
  };
}

/** Where a row was there, it is changed, and the server says 2. */
const INSERTED = 1;

function decodeEvents(row: unknown): string {
  return (row as { readonly events: string }).events;
}

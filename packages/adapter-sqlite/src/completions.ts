import { type Position, toPosition } from "@tidemark/core";
import type { CompletionPort } from "@tidemark/core/spi";
import type { OpenSession } from "./session.ts";
import type { Statements } from "./statements.ts";

export function createCompletionPort(session: OpenSession, sql: Statements): CompletionPort {
  return {
    record: ({ name, version, generation, segment }, positions, checkpoint, op) =>
      session.write(op, (connection) => {
        const parameters = { name, version, generation, segment, checkpoint };
        connection.run(sql.insertCompletions, { ...parameters, positions: `[${positions.join(",")}]` });
        connection.run(sql.removeCompletions, parameters);
      }),

    list: ({ name, version, generation, segment }, op) =>
      session.read(op, (connection) =>
        connection.all(sql.completions, name, version, generation, segment).map(decodePosition),
      ),
  };
}

function decodePosition(row: unknown): Position {
  return toPosition((row as { readonly position: number }).position);
}

import { type Position, toPosition } from "@tidemark/core";
import type { CompletionPort } from "@tidemark/core/spi";
import { numbers } from "./connection.ts";
import type { OpenSession } from "./session.ts";
import type { Statements } from "./statements.ts";

export function createCompletionPort(session: OpenSession, sql: Statements): CompletionPort {
  return {
    record: ({ name, version, generation, segment }, positions, checkpoint, op) =>
      session.write(op, async (connection) => {
        const parameters = [name, version, generation, segment, numbers(positions), checkpoint];
        await connection.run(sql.recordCompletions, ...parameters);
      }),

    list: ({ name, version, generation, segment }, op) =>
      session.read(op, async (connection) => {
        const rows = await connection.all(sql.completions, name, version, generation, segment);
        return rows.map(decodePosition);
      }),
  };
}

function decodePosition(row: unknown): Position {
  return toPosition((row as { readonly position: number }).position);
}

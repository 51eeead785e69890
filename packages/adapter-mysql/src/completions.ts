import { type Position, toPosition } from "@tidemark/core";
import type { CompletionPort } from "@tidemark/core/spi";
import { rows } from "./connection.ts";
import type { OpenSession } from "./session.ts";
import type { Statements } from "./statements.ts";

export function createCompletionPort(session: OpenSession, sql: Statements): CompletionPort {
  return {
    record: ({ name, version, generation, segment }, positions, checkpoint, op) =>
      session.write(op, async (connection) => {
        await connection.run(sql.removeOldCompletions, name, version, generation, segment, checkpoint);
        const above = positions.filter((position) => position > checkpoint);
        if (above.length === 0) return;
        const completions = above.map((position) => [name, version, generation, segment, position]);
        await connection.run(sql.insertCompletions, rows(completions));
      }),

    list: ({ name, version, generation, segment }, op) =>
      session.read(op, async (connection) => {
        const found = await connection.all(sql.completions, name, version, generation, segment);
        return found.map(decodePosition);
      }),
  };
}

function decodePosition(row: unknown): Position {
  return toPosition((row as { readonly position: number }).position);
}

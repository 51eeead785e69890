import { type AggregateRef, type Position, toPosition } from "@tidemark/core";
import type { BatchPlan } from "@tidemark/core/spi";
import { type Connection, numbers, texts } from "./connection.ts";
import type { Statements } from "./statements.ts";

/** Where units are decided and written: in a transaction that is open on the connection. */
export interface AppendPlace {
  readonly sql: Statements;
  /** Whether positions come from the counter. */
  readonly counts: boolean;
  readonly connection: Connection;
}

/** Writes the events, and the versions of their aggregates. Their positions. */
export async function insertRows(
  { connection, sql }: AppendPlace,
  { rows, heads }: BatchPlan,
  counter: number | undefined,
): Promise<readonly Position[]> {
  if (rows.length === 0) return [];
  const inserted = await connection.all(
    sql.insertEvents,
    counter ?? null,
    ...refArrays(rows.map(({ ref }) => ref)),
    numbers(rows.map(({ version }) => version)),
    numbers(rows.map(({ bucket }) => bucket)),
    rows.map(({ event }) => event.id),
    rows.map(({ event }) => event.type),
    rows.map(({ event }) => event.data),
    rows.map(({ event }) => event.metadata),
    numbers(rows.map(({ event }) => event.occurredOn)),
  );
  const versions = numbers(heads.map(({ version }) => version));
  await connection.run(sql.setVersions, ...refArrays(heads.map(({ ref }) => ref)), versions);
  if (counter !== undefined) await connection.run(sql.setCounter, counter + rows.length);
  return inserted.map((row) => toPosition((row as { readonly position: number }).position));
}

/** Aggregates as the arrays that statements take. */
export function refArrays(refs: readonly AggregateRef[]): readonly string[] {
  return [texts(refs.map((ref) => ref.context)), texts(refs.map((ref) => ref.type)), texts(refs.map((ref) => ref.id))];
}

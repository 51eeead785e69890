import { type AggregateRef, type Position, toPosition } from "@tidemark/core";
import {
  type AppendOperation,
  type AppendOutcome,
  type AppendUnit,
  type BatchState,
  type KnownEvent,
  planBatch,
} from "@tidemark/core/spi";
import { decodeKnown, positionAt } from "@tidemark/sql-kit";
import type { Connection } from "./connection.ts";
import type { Statements } from "./statements.ts";

/** Decides and writes the units. The write lock is held, so nothing that is read here can change before the commit. */
export function appendUnits(
  connection: Connection,
  sql: Statements,
  units: readonly AppendUnit[],
  op: AppendOperation,
): readonly AppendOutcome[] {
  const plan = planBatch(units, batchState(connection, sql), op.sameContent);
  const positions: Position[] = [];
  if (plan.rows.length > 0) {
    const insert = connection.prepare(sql.insertEvent);
    const now = connection.number(sql.now);
    for (const { ref, version, bucket, event } of plan.rows) {
      const { context, type, id } = ref;
      const { lastInsertRowid } = insert.run(
        context,
        type,
        id,
        version,
        bucket,
        event.id,
        event.type,
        event.data,
        event.metadata,
        event.occurredOn,
        now,
      );
      positions.push(toPosition(lastInsertRowid));
    }
  }
  return plan.outcomes((row) => positionAt(positions, row));
}

/** Looks things up when they are asked for. A plan asks several times in a row about one aggregate. */
function batchState(connection: Connection, sql: Statements): BatchState {
  const selectVersion = connection.prepare(sql.aggregateVersion).pluck();
  const selectKnown = connection.prepare(sql.knownEvent);
  let lastRef: AggregateRef | undefined;
  let lastVersion = 0;

  function head(ref: AggregateRef): number {
    if (ref !== lastRef) {
      lastVersion = decodeVersion(selectVersion.get(ref.context, ref.type, ref.id));
      lastRef = ref;
    }
    return lastVersion;
  }

  function known(ref: AggregateRef, eventId: string): KnownEvent | undefined {
    if (head(ref) === 0) return undefined;
    const row = selectKnown.get(ref.context, ref.type, ref.id, eventId);
    return row === undefined ? undefined : decodeKnown(row);
  }

  return { head, known };
}

function decodeVersion(value: unknown): number {
  return value as number;
}

import type { Position } from "@tidemark/core";
import {
  type AppendOperation,
  type AppendOutcome,
  type AppendUnit,
  aggregateKey,
  compareBytes,
  planBatch,
} from "@tidemark/core/spi";
import type { Database } from "./database.ts";
import type { Transaction } from "./memory-transaction.ts";
import { transact } from "./transaction.ts";

export function appendBatch(
  database: Database,
  units: readonly AppendUnit[],
  op: AppendOperation,
): Promise<readonly AppendOutcome[]> {
  return transact(database, op, (transaction) => appendUnits(database, transaction, units, op));
}

/** Locks the heads of all aggregates, decides all units, writes. Once the locks are had, that is one tick. */
export async function appendUnits(
  database: Database,
  transaction: Transaction,
  units: readonly AppendUnit[],
  op: AppendOperation,
): Promise<readonly AppendOutcome[]> {
  const { heads, log } = database;
  const busy = new Set<string>();
  for (const key of sortedKeys(units)) {
    if (op.onBusy === "wait") await transaction.lock(heads, key, op);
    else if (!transaction.tryLock(heads, key)) busy.add(key);
  }

  const plan = planBatch(
    units,
    {
      head: (ref) => heads.get(aggregateKey(ref), transaction) ?? 0,
      known: (ref, eventId) => log.find(ref, eventId, transaction),
      busy: (ref) => busy.has(aggregateKey(ref)),
    },
    op.sameContent,
  );

  // Not before there is something to write: a refused append holds no reader back.
  if (plan.rows.length > 0) transaction.join(log);
  const recordedAt = database.now();
  const positions = plan.rows.map(({ ref, bucket, version, event }) =>
    log.append({ ...event, ref: { ...ref }, bucket, version, recordedAt }, transaction),
  );
  for (const { ref, version } of plan.heads) heads.set(aggregateKey(ref), version, transaction);
  return plan.outcomes((row) => positionAt(positions, row));
}

/** Every batch locks in the same order, so that no two of them wait for each other. */
function sortedKeys(units: readonly AppendUnit[]): readonly string[] {
  const keys = units.flatMap((unit) => unit.parts.map((part) => aggregateKey(part.ref)));
  return [...new Set(keys)].toSorted(compareBytes);
}

function positionAt(positions: readonly Position[], row: number): Position {
  const position = positions[row];
  if (position === undefined) throw new RangeError(`Row ${row} was not inserted.`);
  return position;
}

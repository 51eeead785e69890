import type { ConsumerKey } from "@tidemark/core";
import type { ClaimRecords, Operation } from "@tidemark/core/spi";
import { type ClaimRecord, claimRowKey, consumerRowKey, type Database } from "./database.ts";
import type { Transaction } from "./memory-transaction.ts";
import { transact } from "./transaction.ts";

export function createClaimRecords(database: Database): ClaimRecords {
  const { claims } = database;
  return {
    claim: ({ name, version }, key, { token, ms }, op) =>
      transact(database, op, async (transaction) => {
        const consumer = { name, version };
        const known = await lockClaim(database, consumer, key, transaction, op);
        if (known?.completedAt !== undefined) return "done";
        const now = database.now();
        if (known !== undefined && known.expiresAt > now) return "busy";
        const claim = { consumer, key, token, expiresAt: now + ms, completedAt: undefined };
        claims.set(claimRowKey(consumer, key), claim, transaction);
        return "claimed";
      }),

    complete: ({ name, version }, key, op) =>
      transact(database, op, async (transaction) => {
        const consumer = { name, version };
        const known = await lockClaim(database, consumer, key, transaction, op);
        // The moment of the first completion stands.
        if (known?.completedAt !== undefined) return;
        const { token, expiresAt = 0 } = known ?? {};
        const claim = { consumer, key, token, expiresAt, completedAt: database.now() };
        claims.set(claimRowKey(consumer, key), claim, transaction);
      }),

    release: (consumer, key, token, op) =>
      transact(database, op, async (transaction) => {
        const known = await lockClaim(database, consumer, key, transaction, op);
        if (known?.token !== token || known.completedAt !== undefined) return;
        claims.set(claimRowKey(consumer, key), undefined, transaction);
      }),

    sweep: (consumer, before, op) =>
      transact(database, op, (transaction) =>
        removeWhere(
          database,
          consumer,
          ({ completedAt }) => completedAt !== undefined && completedAt < before,
          transaction,
          op,
        ),
      ),
  };
}

/** Forgets all claims of a consumer. */
export async function removeClaims(
  database: Database,
  consumer: ConsumerKey,
  transaction: Transaction,
  op: Operation,
): Promise<void> {
  await removeWhere(database, consumer, () => true, transaction, op);
}

async function removeWhere(
  database: Database,
  consumer: ConsumerKey,
  matches: (claim: ClaimRecord) => boolean,
  transaction: Transaction,
  op: Operation,
): Promise<number> {
  const { claims } = database;
  let removed = 0;
  for (const { key } of [...claims.find(consumerRowKey(consumer), transaction)].filter(matches)) {
    const claim = await lockClaim(database, consumer, key, transaction, op);
    if (claim === undefined || !matches(claim)) continue;
    claims.set(claimRowKey(consumer, key), undefined, transaction);
    removed += 1;
  }
  return removed;
}

async function lockClaim(
  { claims }: Database,
  consumer: ConsumerKey,
  key: string,
  transaction: Transaction,
  op: Operation,
): Promise<ClaimRecord | undefined> {
  const rowKey = claimRowKey(consumer, key);
  await transaction.lock(claims, rowKey, op);
  return claims.get(rowKey, transaction);
}

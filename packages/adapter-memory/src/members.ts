import type { ConsumerKey } from "@tidemark/core";
import { compareBytes, type MemberRecords } from "@tidemark/core/spi";
import { consumerRowKey, type Database, memberRowKey } from "./database.ts";
import { transact } from "./transaction.ts";

/** Each locks the rows of its own member, and those of others only while nobody else has them. */
export function createMemberRecords(database: Database): MemberRecords {
  const { members } = database;
  return {
    meet: (consumers, member, ms, op) =>
      transact(database, op, async (transaction) => {
        const now = database.now();
        for (const consumer of sorted(consumers)) {
          const rowKey = memberRowKey(consumer, member);
          await transaction.lock(members, rowKey, op);
          members.set(rowKey, { consumer, member, expiresAt: now + ms }, transaction);
          for (const row of [...members.find(consumerRowKey(consumer), transaction)]) {
            const expired = memberRowKey(consumer, row.member);
            if (row.expiresAt > now || !transaction.tryLock(members, expired)) continue;
            const stored = members.get(expired, transaction);
            if (stored !== undefined && stored.expiresAt <= now) members.set(expired, undefined, transaction);
          }
        }
        return consumers.map((consumer) =>
          [...members.find(consumerRowKey(consumer), transaction)]
            .filter(({ expiresAt }) => expiresAt > now)
            .map((row) => row.member)
            .toSorted(compareBytes),
        );
      }),

    leave: (consumers, member, op) =>
      transact(database, op, async (transaction) => {
        for (const consumer of sorted(consumers)) {
          const rowKey = memberRowKey(consumer, member);
          await transaction.lock(members, rowKey, op);
          members.set(rowKey, undefined, transaction);
        }
      }),
  };
}

/** Two calls of one member lock its rows in the same order. */
function sorted(consumers: readonly ConsumerKey[]): readonly ConsumerKey[] {
  return consumers
    .map(({ name, version }) => ({ name, version }))
    .toSorted((a, b) => compareBytes(a.name, b.name) || a.version - b.version);
}

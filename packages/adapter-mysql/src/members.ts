import type { ConsumerKey } from "@tidemark/core";
import { compareBytes, type MemberRecords } from "@tidemark/core/spi";
import { decodeMember, type MemberColumns, membersOf } from "@tidemark/sql-kit";
import { anyOf, expression, rows, type Value } from "./connection.ts";
import { anyOfConsumers } from "./consumers.ts";
import type { Session } from "./session.ts";
import { NOW_MS, type Statements } from "./statements.ts";

export function createMemberRecords(session: () => Session, sql: Statements): MemberRecords {
  return {
    meet: async (consumers, member, ms, op) => {
      if (consumers.length === 0) return [];
      return session().write(op, async (connection) => {
        const expiry = expression(`${NOW_MS} + ${ms}`);
        const kept = consumers.toSorted(compareKeys).map(({ name, version }) => [name, version, member, expiry]);
        await connection.run(sql.keepMember, rows(kept));
        const all = (await connection.all(sql.members, anyOfConsumers(consumers))).map(asExpiring);
        const isAlive = (row: ExpiringColumns): boolean => row.expired === 0 || row.member === member;
        const expired = all.filter((row) => !isAlive(row));
        if (expired.length > 0) {
          const locked = await connection.all(sql.lockExpiredMembers, anyOfMembers(expired));
          await connection.run(sql.forgetMembers, listOf(locked.map(decodeMember)));
        }
        const alive = all.filter(isAlive).toSorted((a, b) => compareBytes(a.member, b.member));
        return membersOf(consumers, alive);
      });
    },

    leave: (consumers, member, op) =>
      session().autocommit(op, async (connection) => {
        const left = consumers.map(({ name, version }) => ({ name, version, member }));
        await connection.run(sql.forgetMembers, listOf(left));
      }),
  };
}

interface ExpiringColumns extends MemberColumns {
  readonly expired: 0 | 1;
}

function anyOfMembers(members: readonly MemberColumns[]): Value {
  return anyOf(
    ["name", "version", "member"],
    members.map(({ name, version, member }) => [name, version, member]),
  );
}

/** As statements take a long list. */
function listOf(members: readonly MemberColumns[]): string {
  return JSON.stringify(members.map(({ name, version, member }) => [name, version, member]));
}

function compareKeys(a: ConsumerKey, b: ConsumerKey): number {
  return compareBytes(a.name, b.name) || a.version - b.version;
}

function asExpiring(row: unknown): ExpiringColumns {
  return row as ExpiringColumns;
}

import type { ConsumerKey, MemberRecords } from "@tidemark/core/spi";
import { decodeMember, membersOf } from "@tidemark/sql-kit";
import type { Sessions } from "./session.ts";
import type { Statements } from "./statements.ts";

export function createMemberRecords(sessions: () => Sessions, sql: Statements): MemberRecords {
  return {
    meet: (consumers, member, ms, op) =>
      sessions().writer.write(op, (connection) => {
        const keys = listOf(consumers);
        connection.run(sql.forgetMembers, keys);
        connection.run(sql.keepMember, member, ms, keys);
        const rows = connection.all(sql.members, keys).map(decodeMember);
        return membersOf(consumers, rows);
      }),

    leave: (consumers, member, op) =>
      sessions().writer.write(op, (connection) => {
        connection.run(sql.leaveMember, member, listOf(consumers));
      }),
  };
}

function listOf(consumers: readonly ConsumerKey[]): string {
  return JSON.stringify(consumers.map(({ name, version }) => [name, version]));
}

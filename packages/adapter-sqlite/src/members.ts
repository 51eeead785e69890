import type { ConsumerKey, MemberRecords } from "@tidemark/core/spi";
import type { Sessions } from "./session.ts";
import type { Statements } from "./statements.ts";

export function createMemberRecords(sessions: () => Sessions, sql: Statements): MemberRecords {
  return {
    meet: (consumers, member, ms, op) =>
      sessions().writer.write(op, (connection) => {
        const keys = listOf(consumers);
        connection.run(sql.forgetMembers, keys);
        connection.run(sql.keepMember, member, ms, keys);
        const rows = connection.all(sql.members, keys).map((row) => row as MemberColumns);
        return consumers.map(({ name, version }) =>
          rows.filter((row) => row.name === name && row.version === version).map((row) => row.member),
        );
      }),

    leave: (consumers, member, op) =>
      sessions().writer.write(op, (connection) => {
        connection.run(sql.leaveMember, member, listOf(consumers));
      }),
  };
}

interface MemberColumns {
  readonly name: string;
  readonly version: number;
  readonly member: string;
}

function listOf(consumers: readonly ConsumerKey[]): string {
  return JSON.stringify(consumers.map(({ name, version }) => [name, version]));
}

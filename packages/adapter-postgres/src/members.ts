import type { MemberRecords } from "@tidemark/core/spi";
import { decodeMember, membersOf } from "@tidemark/sql-kit";
import { numbers } from "./connection.ts";
import type { Session } from "./session.ts";
import type { Statements } from "./statements.ts";

export function createMemberRecords(session: () => Session, sql: Statements): MemberRecords {
  return {
    meet: (consumers, member, ms, op) =>
      session().write(op, async (connection) => {
        const [names, versions] = [consumers.map(({ name }) => name), numbers(consumers.map(({ version }) => version))];
        await connection.run(sql.forgetMembers, names, versions);
        await connection.run(sql.keepMember, names, versions, member, ms);
        const rows = (await connection.all(sql.members, names, versions)).map(decodeMember);
        return membersOf(consumers, rows);
      }),

    leave: (consumers, member, op) =>
      session().autocommit(op, async (connection) => {
        const versions = numbers(consumers.map(({ version }) => version));
        await connection.run(
          sql.leaveMember,
          consumers.map(({ name }) => name),
          versions,
          member,
        );
      }),
  };
}

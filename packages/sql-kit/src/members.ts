import type { ConsumerKey } from "@tidemark/core";

/** A member of a consumer, as the statements of all SQL adapters name their columns. */
export interface MemberColumns extends ConsumerKey {
  readonly member: string;
}

export function decodeMember(row: unknown): MemberColumns {
  const { name, version, member } = row as MemberColumns;
  return { name, version, member };
}

/** The members of each of the consumers, in the order of the rows. */
export function membersOf(
  consumers: readonly ConsumerKey[],
  rows: readonly MemberColumns[],
): readonly (readonly string[])[] {
  return consumers.map(({ name, version }) =>
    rows.filter((row) => row.name === name && row.version === version).map(({ member }) => member),
  );
}

import { toPosition } from "@tidemark/core";
import type { SegmentKey, ZoneEntry, ZoneRecords } from "@tidemark/core/spi";
import type { Connection } from "./connection.ts";
import { readSegment } from "./consumers.ts";
import type { Session } from "./session.ts";
import type { Statements } from "./statements.ts";

interface Lease {
  readonly owner: string;
  readonly ms: number;
}

export function createZoneRecords(session: () => Session, sql: Statements): ZoneRecords {
  return {
    enter: (key, lease, op) => session().autocommit(op, (connection) => enter(connection, sql, key, lease)),

    renew: (key, token, leaseMs, op) =>
      session().autocommit(op, (connection) => renew(connection, sql, key, token, leaseMs)),

    leave: ({ name, version, generation, segment }, token, op) =>
      session().autocommit(op, async (connection) => {
        await connection.run(sql.leaveZone, name, version, generation, segment, token);
      }),
  };
}

async function enter(connection: Connection, sql: Statements, key: SegmentKey, lease: Lease): Promise<ZoneEntry> {
  const { name, version, generation, segment } = key;
  const row = await connection.get(sql.enterZone, name, version, generation, segment, lease.owner, lease.ms);
  if (row === undefined) {
    const stored = await readSegment(connection, sql, key);
    return { kind: stored?.position === undefined ? "unknown" : "busy" };
  }
  const { token, position } = row as { readonly token: number; readonly position: number };
  return { kind: "entered", token: BigInt(token), position: toPosition(position) };
}

/**
 * Does not wait for a row that is locked. It is locked by our own commit, which extends the lease as well; or by
 * somebody whose change the next renewal finds. To wait would be to keep a connection for each zone while commits are
 * slow, and the zone would count as lost because its renewal has had no answer.
 */
async function renew(
  connection: Connection,
  sql: Statements,
  key: SegmentKey,
  token: bigint,
  leaseMs: number,
): Promise<boolean> {
  const { name, version, generation, segment } = key;
  if ((await connection.run(sql.renewZone, name, version, generation, segment, token, leaseMs)) === 1) return true;
  return (await readSegment(connection, sql, key))?.token === token;
}

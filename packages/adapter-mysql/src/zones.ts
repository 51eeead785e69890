import type { SegmentKey, ZoneEntry, ZoneRecords } from "@tidemark/core/spi";
import { decodeSegmentState } from "@tidemark/sql-kit";
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
    enter: (key, lease, op) => session().write(op, (connection) => enter(connection, sql, key, lease)),

    renew: (key, token, leaseMs, op) =>
      session().write(op, (connection) => renew(connection, sql, key, token, leaseMs)),

    leave: ({ name, version, generation, segment }, token, op) =>
      session().autocommit(op, async (connection) => {
        await connection.run(sql.leaveZone, name, version, generation, segment, token);
      }),
  };
}

async function enter(connection: Connection, sql: Statements, key: SegmentKey, lease: Lease): Promise<ZoneEntry> {
  const { name, version, generation, segment } = key;
  const where = [name, version, generation, segment];
  const seemsFree = (await connection.get(sql.freeZone, ...where)) !== undefined;
  const free = seemsFree ? decodeSegmentState(await connection.get(sql.lockFreeZone, ...where)) : undefined;
  if (free?.position === undefined) {
    const stored = await readSegment(connection, sql, key);
    return { kind: stored?.position === undefined ? "unknown" : "busy" };
  }
  await connection.run(sql.enterZone, name, version, generation, segment, lease.owner, lease.ms);
  return { kind: "entered", token: free.token + 1n, position: free.position };
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
  if ((await connection.get(sql.lockOwnZone, name, version, generation, segment, token)) === undefined) {
    return (await readSegment(connection, sql, key))?.token === token;
  }
  await connection.run(sql.renewZone, name, version, generation, segment, leaseMs);
  return true;
}

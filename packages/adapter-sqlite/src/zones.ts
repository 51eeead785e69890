import { toPosition } from "@tidemark/core";
import type { Operation, SegmentKey, ZoneEntry, ZoneRecords } from "@tidemark/core/spi";
import type { Connection } from "./connection.ts";
import { nextToken } from "./consumers.ts";
import type { Sessions } from "./session.ts";
import type { Statements } from "./statements.ts";

interface Lease {
  readonly owner: string;
  readonly ms: number;
}

export function createZoneRecords(sessions: () => Sessions, sql: Statements): ZoneRecords {
  return {
    enter: (key, lease, op) => enter(sessions(), sql, key, lease, op),

    renew: (key, token, leaseMs, op) =>
      sessions().writer.write(op, (connection) => {
        const { name, version, generation, segment } = key;
        return connection.run(sql.renewZone, leaseMs, name, version, generation, segment, token).changes === 1;
      }),

    leave: (key, token, op) =>
      sessions().writer.write(op, (connection) => {
        const { name, version, generation, segment } = key;
        connection.run(sql.leaveZone, nextToken(connection, sql), name, version, generation, segment, token);
      }),
  };
}

/**
 * Looks before it asks for the write lock, which the zone's holder may have. A lease that ran out without having been
 * left may be of a holder that is inside its transaction: such a zone is taken at once or not at all. One that nobody
 * has needs the write lock like every other write.
 */
async function enter(
  { reader, writer }: Sessions,
  sql: Statements,
  key: SegmentKey,
  lease: Lease,
  op: Operation,
): Promise<ZoneEntry> {
  const seen = await reader.glance(op, (connection) => look(connection, sql, key));
  if (seen !== "left" && seen !== "expired") return { kind: seen };
  const take = (connection: Connection): ZoneEntry => takeLease(connection, sql, key, lease);
  if (seen === "left") return writer.write(op, take);
  return writer.writeAtOnce(take)?.value ?? { kind: "busy" };
}

interface ZoneColumns {
  readonly position: number | null;
  readonly owner: string | null;
  readonly held: number;
}

function look(connection: Connection, sql: Statements, key: SegmentKey): "unknown" | "busy" | "expired" | "left" {
  const row = connection.get(sql.segment, key.name, key.version, key.generation, key.segment);
  const columns = row as ZoneColumns | undefined;
  if (columns === undefined || columns.position === null) return "unknown";
  if (columns.held === 1) return "busy";
  return columns.owner === null ? "left" : "expired";
}

function takeLease(connection: Connection, sql: Statements, key: SegmentKey, lease: Lease): ZoneEntry {
  const { name, version, generation, segment } = key;
  const token = nextToken(connection, sql);
  const row = connection.get(sql.enterZone, lease.owner, token, lease.ms, name, version, generation, segment);
  if (row === undefined) return { kind: look(connection, sql, key) === "unknown" ? "unknown" : "busy" };
  const { position } = row as { readonly position: number };
  return { kind: "entered", token: BigInt(token), position: toPosition(position) };
}

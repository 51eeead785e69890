import type { ActorRef, SnapshotPort, SnapshotReader, SnapshotRow, SnapshotState } from "@tidemark/core/spi";
import { decodeLink, decodeSnapshot } from "@tidemark/sql-kit";
import type { Connection } from "./connection.ts";
import { eachAlone, type OpenSession, type Sessions } from "./session.ts";
import type { Statements } from "./statements.ts";

export function createSnapshotRecords(sessions: () => Sessions, sql: Statements): SnapshotPort {
  return createSnapshotPort(eachAlone(sessions), sql);
}

export function createSnapshotPort(session: OpenSession, sql: Statements): SnapshotPort {
  return {
    ...createSnapshotReader(session, sql),

    store: (actor, vector, decide, op) =>
      session.write(op, (connection) => {
        const { type, systemId } = actor;
        connection.run(sql.changeActor, type, systemId);
        const change = decide(readState(connection, sql, actor, vector));
        if (change === undefined) return;
        const { row, isHead, dominated } = change;
        connection.run(sql.insertSnapshot, { type, systemId, ...toParameters(row), isHead: isHead ? 1 : 0 });
        if (dominated.length > 0) connection.run(sql.dropHeads, type, systemId, JSON.stringify(dominated));
      }),
  };
}

function createSnapshotReader(session: OpenSession, sql: Statements): SnapshotReader {
  return {
    heads: ({ type, systemId }, op) =>
      session.read(op, (connection) => connection.all(sql.heads, type, systemId).map(decodeSnapshot)),

    get: (actor, vector, op) => session.read(op, (connection) => readSnapshot(connection, sql, actor, vector)),

    chain: ({ type, systemId }, vector, limit, op) =>
      session.read(op, (connection) =>
        connection.all(sql.snapshotChain, { type, systemId, vector, limit }).map(decodeLink),
      ),

    links: ({ type, systemId }, after, limit, op) =>
      session.read(op, (connection) =>
        connection.all(sql.snapshotLinks, { type, systemId, after: after ?? null, limit }).map(decodeLink),
      ),

    atEvent: ({ type, systemId }, eventId, op) =>
      session.read(op, (connection) => toSnapshot(connection.get(sql.snapshotAtEvent, type, systemId, eventId))),

    atTime: ({ type, systemId }, time, op) =>
      session.read(op, (connection) => toSnapshot(connection.get(sql.snapshotAtTime, type, systemId, time))),
  };
}

function readState(connection: Connection, sql: Statements, actor: ActorRef, vector: string): SnapshotState {
  return {
    stored: readSnapshot(connection, sql, actor, vector),
    heads: connection.all(sql.headVectors, actor.type, actor.systemId).map(decodeVector),
  };
}

function readSnapshot(
  connection: Connection,
  sql: Statements,
  { type, systemId }: ActorRef,
  vector: string,
): SnapshotRow | undefined {
  return toSnapshot(connection.get(sql.snapshot, type, systemId, vector));
}

function toSnapshot(row: unknown): SnapshotRow | undefined {
  return row === undefined ? undefined : decodeSnapshot(row);
}

function toParameters(row: SnapshotRow): object {
  const { ancestor = null, lastEventId = null, lastEventAt = null } = row;
  return { ...row, ancestor, lastEventId, lastEventAt };
}

function decodeVector(row: unknown): string {
  return (row as { readonly vector: string }).vector;
}

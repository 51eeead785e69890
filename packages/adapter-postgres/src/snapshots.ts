import type { ActorRef, SnapshotPort, SnapshotReader, SnapshotRow } from "@tidemark/core/spi";
import { decodeLink, decodeSnapshot } from "@tidemark/sql-kit";
import { type Connection, texts } from "./connection.ts";
import { eachAlone, type OpenSession, type Session } from "./session.ts";
import type { Statements } from "./statements.ts";

export function createSnapshotRecords(session: () => Session, sql: Statements): SnapshotPort {
  return createSnapshotPort(eachAlone(session), sql);
}

export function createSnapshotPort(session: OpenSession, sql: Statements): SnapshotPort {
  return {
    ...createSnapshotReader(session, sql),

    store: (actor, vector, decide, op) =>
      session.write(op, async (connection) => {
        const { type, systemId } = actor;
        const heads = decodeHeads(await connection.get(sql.changeActor, type, systemId));
        const stored = await readSnapshot(connection, sql, actor, vector);
        const change = decide({ stored, heads });
        if (change === undefined) return;
        const { row, isHead, dominated } = change;
        const left = heads.filter((head) => !dominated.includes(head));
        const headed = texts(isHead ? [...left, row.vector] : left);
        await connection.run(sql.insertSnapshot, type, systemId, ...toParameters(row), headed);
      }),
  };
}

function createSnapshotReader(session: OpenSession, sql: Statements): SnapshotReader {
  return {
    heads: ({ type, systemId }, op) =>
      session.read(op, async (connection) => (await connection.all(sql.heads, type, systemId)).map(decodeSnapshot)),

    get: (actor, vector, op) => session.read(op, (connection) => readSnapshot(connection, sql, actor, vector)),

    chain: ({ type, systemId }, vector, limit, op) =>
      session.read(op, async (connection) =>
        (await connection.all(sql.snapshotChain, type, systemId, vector, limit)).map(decodeLink),
      ),

    links: ({ type, systemId }, after, limit, op) =>
      session.read(op, async (connection) =>
        (await connection.all(sql.snapshotLinks, type, systemId, after, limit)).map(decodeLink),
      ),

    atEvent: ({ type, systemId }, eventId, op) =>
      session.read(op, async (connection) =>
        toSnapshot(await connection.get(sql.snapshotAtEvent, type, systemId, eventId)),
      ),

    atTime: ({ type, systemId }, time, op) =>
      session.read(op, async (connection) =>
        toSnapshot(await connection.get(sql.snapshotAtTime, type, systemId, time)),
      ),
  };
}

async function readSnapshot(
  connection: Connection,
  sql: Statements,
  { type, systemId }: ActorRef,
  vector: string,
): Promise<SnapshotRow | undefined> {
  return toSnapshot(await connection.get(sql.snapshot, type, systemId, vector));
}

function toSnapshot(row: unknown): SnapshotRow | undefined {
  return row === undefined ? undefined : decodeSnapshot(row);
}

function toParameters(row: SnapshotRow): readonly unknown[] {
  const { vector, snapshotId, version, ancestor, lastEventId, lastEventAt, state } = row;
  return [vector, snapshotId, version, ancestor, lastEventId, lastEventAt, state];
}

function decodeHeads(row: unknown): readonly string[] {
  return JSON.parse((row as { readonly heads: string }).heads) as readonly string[];
}

import {
  type ActorRef,
  compareBytes,
  type SnapshotChange,
  type SnapshotPort,
  type SnapshotReader,
  type SnapshotRow,
} from "@tidemark/core/spi";
import { decodeLink, decodeSnapshot } from "@tidemark/sql-kit";
import { bytesOf, type Connection, rows, type Value } from "./connection.ts";
import { isDuplicate } from "./driver-errors.ts";
import { piecesOf, refuseUnreadable, roomIn } from "./pieces.ts";
import type { Profile } from "./profile.ts";
import { eachAlone, type OpenSession, type Session } from "./session.ts";
import type { Statements } from "./statements.ts";

export function createSnapshotRecords(session: () => Session, sql: Statements): SnapshotPort {
  return createSnapshotPort(eachAlone(session), sql);
}

export function createSnapshotPort(session: OpenSession, sql: Statements): SnapshotPort {
  return {
    ...createSnapshotReader(session, sql),

    store: (actor, vector, decide, op) =>
      session.write(op, async (connection, profile) => {
        const { type, systemId } = actor;
        await connection.run(sql.changeActor, type, systemId);
        const heads = decodeHeads(await connection.get(sql.lockedHeads, type, systemId));
        const decideWith = async (statement: string): Promise<void> => {
          const stored = await readSnapshot(connection, statement, actor, vector);
          const change = decide({ stored, heads });
          if (change === undefined) return;
          await insertSnapshot(connection, sql, actor, change.row, profile);
          if (!change.isHead && change.dominated.length === 0) return;
          const headed = JSON.stringify(headsAfter(heads, change));
          await connection.run(sql.setHeads, type, systemId, headed);
        };
        try {
          await decideWith(sql.snapshot);
        } catch (error) {
          if (!isDuplicate(error)) throw error;
          // In REPEATABLE READ, somebody else has stored it since the transaction began.
          await decideWith(sql.lockedSnapshot);
        }
      }),
  };
}

function createSnapshotReader(session: OpenSession, sql: Statements): SnapshotReader {
  return {
    heads: (actor, op) =>
      session.read(op, async (connection) => {
        const found = await connection.all(sql.heads, actor.type, actor.systemId);
        const heads: SnapshotRow[] = [];
        for (const row of found) heads.push(await readHead(connection, sql, actor, row));
        return heads.toSorted((a, b) => compareBytes(a.vector, b.vector));
      }),

    get: (actor, vector, op) => session.read(op, (connection) => readSnapshot(connection, sql.snapshot, actor, vector)),

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
  statement: string,
  { type, systemId }: ActorRef,
  vector: string,
): Promise<SnapshotRow | undefined> {
  return toSnapshot(await connection.get(statement, type, systemId, vector));
}

/**
 * The snapshot of a head. A transaction in REPEATABLE READ that has changed the actor sees all heads, and those snapshots
 * only that were stored before it began: the others it sees by locking them.
 */
async function readHead(connection: Connection, sql: Statements, actor: ActorRef, row: unknown): Promise<SnapshotRow> {
  const { head, vector } = row as { readonly head: string; readonly vector: string | null };
  if (vector !== null) return decodeSnapshot(row);
  const locked = await readSnapshot(connection, sql.lockedSnapshot, actor, head);
  if (locked === undefined) throw new Error(`The snapshot ${head} of ${actor.type} ${actor.systemId} is gone.`);
  return locked;
}

function toSnapshot(row: unknown): SnapshotRow | undefined {
  return row === undefined ? undefined : decodeSnapshot(row);
}

function headsAfter(heads: readonly string[], { row, isHead, dominated }: SnapshotChange): readonly string[] {
  const left = heads.filter((head) => !dominated.includes(head));
  return isHead ? [...left, row.vector] : left;
}

async function insertSnapshot(
  connection: Connection,
  sql: Statements,
  { type, systemId }: ActorRef,
  row: SnapshotRow,
  profile: Profile,
): Promise<void> {
  refuseUnreadable([row.state], profile);
  const room = roomIn(profile);
  const values = toParameters(row);
  if (bytesOf(rows([[type, systemId, row.vector, ...values]])) <= room) {
    await connection.run(sql.insertSnapshot, type, systemId, ...values);
    return;
  }
  await connection.run(sql.insertSnapshot, type, systemId, ...toParameters({ ...row, state: "" }));
  for (const piece of piecesOf(row.state, room)) {
    await connection.run(sql.appendState, type, systemId, row.vector, piece);
  }
}

function toParameters(row: SnapshotRow): readonly Value[] {
  const { vector, snapshotId, version, ancestor, lastEventId, lastEventAt, state } = row;
  return [vector, snapshotId, version, ancestor, lastEventId, lastEventAt, state];
}

/** Ascending by bytes. */
function decodeHeads(row: unknown): readonly string[] {
  const heads = JSON.parse((row as { readonly heads: string }).heads) as readonly string[];
  return heads.toSorted(compareBytes);
}

import type { IdentityPort, IdentityReader } from "@tidemark/core/spi";
import { timeAfter } from "@tidemark/sql-kit";
import type { Connection } from "./connection.ts";
import { eachAlone, type OpenSession, type Session } from "./session.ts";
import type { Statements } from "./statements.ts";

export function createIdentityRecords(session: () => Session, sql: Statements): IdentityPort {
  const port = createIdentityPort(eachAlone(session), sql);
  return {
    ...port,

    // Looks before it locks: almost always the id is known.
    resolve: async (type, actorId, systemId, op) =>
      (await port.systemId(type, actorId, undefined, op)) ?? port.resolve(type, actorId, systemId, op),
  };
}

export function createIdentityPort(session: OpenSession, sql: Statements): IdentityPort {
  return {
    ...createIdentityReader(session, sql),

    map: (type, systemId, actorId, op) =>
      session.write(op, async (connection) => {
        const actorKey = await changeKey(connection, sql, type, "actor", actorId);
        await map(connection, sql, { type, actorId, systemId }, actorKey);
      }),

    resolve: (type, actorId, systemId, op) =>
      session.write(op, async (connection) => {
        const actorKey = await changeKey(connection, sql, type, "actor", actorId);
        if (actorKey.latest !== null) return actorKey.latest;
        await map(connection, sql, { type, actorId, systemId }, actorKey);
        return systemId;
      }),
  };
}

function createIdentityReader(session: OpenSession, sql: Statements): IdentityReader {
  return {
    systemId: (type, actorId, asOf, op) =>
      session.read(op, async (connection) =>
        decodeId(
          await (asOf === undefined
            ? connection.get(sql.latestIdentity, type, "actor", actorId)
            : connection.get(sql.systemIdAsOf, type, actorId, asOf)),
        ),
      ),

    actorId: (type, systemId, asOf, op) =>
      session.read(op, async (connection) =>
        decodeId(
          await (asOf === undefined
            ? connection.get(sql.latestIdentity, type, "system", systemId)
            : connection.get(sql.actorIdAsOf, type, systemId, asOf)),
        ),
      ),
  };
}

interface Identity {
  readonly type: string;
  readonly actorId: string;
  readonly systemId: string;
}

/** What is known of an id that is locked. */
interface IdentityKey {
  /** The time of its last mapping; 0 when it has none. */
  readonly last_at: number;
  /** The id that it stands for now; null for none. */
  readonly latest: string | null;
}

/** The actor id is locked already: everyone locks it first, then the system id. */
async function map(connection: Connection, sql: Statements, identity: Identity, actorKey: IdentityKey): Promise<void> {
  const { type, actorId, systemId } = identity;
  const systemKey = await changeKey(connection, sql, type, "system", systemId);
  if (actorKey.latest === systemId && systemKey.latest === actorId) return;
  const lastAt = Math.max(actorKey.last_at, systemKey.last_at);
  const ask = (): Promise<number> => connection.number(sql.now);
  const since = await timeAfter(lastAt, await ask(), ask);
  await connection.run(sql.insertIdentity, type, actorId, systemId, since);
  await connection.run(sql.setIdentityKey, type, "actor", actorId, since, systemId);
  await connection.run(sql.setIdentityKey, type, "system", systemId, since, actorId);
}

async function changeKey(
  connection: Connection,
  sql: Statements,
  type: string,
  kind: "actor" | "system",
  id: string,
): Promise<IdentityKey> {
  await connection.run(sql.changeIdentityKey, type, kind, id);
  return (await connection.get(sql.lockedIdentityKey, type, kind, id)) as IdentityKey;
}

function decodeId(row: unknown): string | undefined {
  return row === undefined ? undefined : ((row as { readonly id: string | null }).id ?? undefined);
}

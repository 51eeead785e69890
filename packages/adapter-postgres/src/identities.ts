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
        const known = await readSystemId(connection, sql, type, actorId, undefined);
        if (known !== undefined) return known;
        await map(connection, sql, { type, actorId, systemId }, actorKey);
        return systemId;
      }),
  };
}

function createIdentityReader(session: OpenSession, sql: Statements): IdentityReader {
  return {
    systemId: (type, actorId, asOf, op) =>
      session.read(op, (connection) => readSystemId(connection, sql, type, actorId, asOf)),

    actorId: (type, systemId, asOf, op) =>
      session.read(op, async (connection) => decodeId(await connection.get(sql.actorIdAsOf, type, systemId, asOf))),
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
  /** The time at which it was locked. */
  readonly now: number;
}

/** The actor id is locked already: everyone locks it first, then the system id. */
async function map(connection: Connection, sql: Statements, identity: Identity, actorKey: IdentityKey): Promise<void> {
  const { type, actorId, systemId } = identity;
  const systemKey = await changeKey(connection, sql, type, "system", systemId);
  if (await isLatest(connection, sql, identity)) return;
  const lastAt = Math.max(actorKey.last_at, systemKey.last_at);
  const since = await timeAfter(lastAt, systemKey.now, () => connection.number(sql.now));
  await connection.run(sql.insertIdentity, type, actorId, systemId, since);
}

async function changeKey(
  connection: Connection,
  sql: Statements,
  type: string,
  kind: "actor" | "system",
  id: string,
): Promise<IdentityKey> {
  return (await connection.get(sql.changeIdentityKey, type, kind, id)) as IdentityKey;
}

async function isLatest(connection: Connection, sql: Statements, identity: Identity): Promise<boolean> {
  const { type, actorId, systemId } = identity;
  const row = await connection.get(sql.isLatestIdentity, type, actorId, systemId);
  return (row as { readonly latest: boolean }).latest;
}

async function readSystemId(
  connection: Connection,
  sql: Statements,
  type: string,
  actorId: string,
  asOf: number | undefined,
): Promise<string | undefined> {
  return decodeId(await connection.get(sql.systemIdAsOf, type, actorId, asOf));
}

function decodeId(row: unknown): string | undefined {
  return (row as { readonly id: string | null }).id ?? undefined;
}

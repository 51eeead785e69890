import type { IdentityPort, IdentityReader } from "@tidemark/core/spi";
import type { Connection } from "./connection.ts";
import { eachAlone, type OpenSession, type Sessions } from "./session.ts";
import type { Statements } from "./statements.ts";

export function createIdentityRecords(sessions: () => Sessions, sql: Statements): IdentityPort {
  const port = createIdentityPort(eachAlone(sessions), sql);
  return {
    ...port,

    // Looks before it asks for the write lock: almost always the id is known.
    resolve: async (type, actorId, systemId, op) =>
      (await port.systemId(type, actorId, undefined, op)) ?? port.resolve(type, actorId, systemId, op),
  };
}

export function createIdentityPort(session: OpenSession, sql: Statements): IdentityPort {
  return {
    ...createIdentityReader(session, sql),

    map: (type, systemId, actorId, op) =>
      session.write(op, (connection) => {
        const lastOfActor = connection.number(sql.changeIdentityKey, type, "actor", actorId);
        map(connection, sql, { type, actorId, systemId }, lastOfActor);
      }),

    resolve: (type, actorId, systemId, op) =>
      session.write(op, (connection) => {
        const lastOfActor = connection.number(sql.changeIdentityKey, type, "actor", actorId);
        const known = readSystemId(connection, sql, type, actorId, undefined);
        if (known !== undefined) return known;
        map(connection, sql, { type, actorId, systemId }, lastOfActor);
        return systemId;
      }),
  };
}

function createIdentityReader(session: OpenSession, sql: Statements): IdentityReader {
  return {
    systemId: (type, actorId, asOf, op) =>
      session.read(op, (connection) => readSystemId(connection, sql, type, actorId, asOf)),

    actorId: (type, systemId, asOf, op) =>
      session.read(op, (connection) => readActorId(connection, sql, type, systemId, asOf)),
  };
}

interface Identity {
  readonly type: string;
  readonly actorId: string;
  readonly systemId: string;
}

/** The actor id is locked already: everyone locks it first, then the system id. `lastOfActor` is its last mapping's time. */
function map(connection: Connection, sql: Statements, identity: Identity, lastOfActor: number): void {
  const { type, actorId, systemId } = identity;
  const lastOfSystem = connection.number(sql.changeIdentityKey, type, "system", systemId);
  if (isLatest(connection, sql, identity)) return;
  const since = timeAfter(Math.max(lastOfActor, lastOfSystem), () => connection.number(sql.now));
  connection.run(sql.insertIdentity, type, actorId, systemId, since);
  connection.run(sql.keepIdentityTime, since, type, "actor", actorId);
  connection.run(sql.keepIdentityTime, since, type, "system", systemId);
}

/** In the millisecond of `last` the clock is asked until that is over; one that stands still, not for ever. */
function timeAfter(last: number, ask: () => number): number {
  let now = ask();
  for (let asked = 0; now === last && asked < 10_000; asked++) now = ask();
  return Math.max(now, last + 1);
}

function isLatest(connection: Connection, sql: Statements, { type, actorId, systemId }: Identity): boolean {
  return (
    readSystemId(connection, sql, type, actorId, undefined) === systemId &&
    readActorId(connection, sql, type, systemId, undefined) === actorId
  );
}

function readSystemId(
  connection: Connection,
  sql: Statements,
  type: string,
  actorId: string,
  asOf: number | undefined,
): string | undefined {
  return toId(connection.get(sql.systemIdAsOf, type, actorId, asOf ?? null));
}

function readActorId(
  connection: Connection,
  sql: Statements,
  type: string,
  systemId: string,
  asOf: number | undefined,
): string | undefined {
  return toId(connection.get(sql.actorIdAsOf, type, systemId, asOf ?? null));
}

function toId(row: unknown): string | undefined {
  return row === undefined ? undefined : decodeId(row);
}

function decodeId(row: unknown): string {
  return (row as { readonly id: string }).id;
}

import { type IdentityPort, type IdentityReader, type Operation, throwIfAborted } from "@tidemark/core/spi";
import { type Database, identityRowKey, type MappingRecord } from "./database.ts";
import type { Transaction } from "./memory-transaction.ts";
import { transact } from "./transaction.ts";

export function createIdentityRecords(database: Database): IdentityPort {
  const reader = createIdentityReader(database);
  return {
    ...reader,

    map: (type, systemId, actorId, op) =>
      transact(database, op, (transaction) =>
        createIdentityPort(database, transaction).map(type, systemId, actorId, op),
      ),

    // Looks before it waits for locks: almost always the id is known.
    resolve: async (type, actorId, systemId, op) =>
      (await reader.systemId(type, actorId, undefined, op)) ??
      transact(database, op, (transaction) =>
        createIdentityPort(database, transaction).resolve(type, actorId, systemId, op),
      ),
  };
}

export function createIdentityPort(database: Database, transaction: Transaction): IdentityPort {
  const { identities } = database;

  /** Everyone locks the actor id first, then the system id. */
  async function lock(type: string, actorId: string, systemId: string, op: Operation): Promise<void> {
    await transaction.lock(identities, identityRowKey(type, "actor", actorId), op);
    await transaction.lock(identities, identityRowKey(type, "system", systemId), op);
  }

  /** In the millisecond of `last` the clock is asked until that is over; one that stands still, not for ever. */
  function timeAfter(last: number): number {
    let asked = 0;
    while (database.now() === last && asked < 300_000) asked += 1;
    return Math.max(database.now(), last + 1);
  }

  /** Both are locked. */
  function map(type: string, actorId: string, systemId: string): void {
    const ofActor = identities.get(identityRowKey(type, "actor", actorId), transaction) ?? [];
    const ofSystem = identities.get(identityRowKey(type, "system", systemId), transaction) ?? [];
    const [lastOfActor, lastOfSystem] = [ofActor.at(-1), ofSystem.at(-1)];
    if (lastOfActor?.id === systemId && lastOfSystem?.id === actorId) return;
    const since = timeAfter(Math.max(lastOfActor?.since ?? 0, lastOfSystem?.since ?? 0));
    const [toSystem, toActor] = [
      [...ofActor, { id: systemId, since }],
      [...ofSystem, { id: actorId, since }],
    ];
    identities.set(identityRowKey(type, "actor", actorId), toSystem, transaction);
    identities.set(identityRowKey(type, "system", systemId), toActor, transaction);
  }

  return {
    ...createIdentityReader(database, transaction),

    map: async (type, systemId, actorId, op) => {
      await lock(type, actorId, systemId, op);
      map(type, actorId, systemId);
    },

    resolve: async (type, actorId, systemId, op) => {
      await lock(type, actorId, systemId, op);
      const known = identities.get(identityRowKey(type, "actor", actorId), transaction)?.at(-1);
      if (known !== undefined) return known.id;
      map(type, actorId, systemId);
      return systemId;
    },
  };
}

/** Identities as they are committed, or as the transaction sees them. */
function createIdentityReader({ identities }: Database, transaction?: Transaction): IdentityReader {
  const read = (rowKey: string, asOf: number | undefined, op: Operation): string | undefined => {
    throwIfAborted(op.signal);
    transaction?.check();
    return idAsOf(identities.get(rowKey, transaction) ?? [], asOf);
  };
  return {
    systemId: async (type, actorId, asOf, op) => read(identityRowKey(type, "actor", actorId), asOf, op),
    actorId: async (type, systemId, asOf, op) => read(identityRowKey(type, "system", systemId), asOf, op),
  };
}

function idAsOf(mappings: readonly MappingRecord[], asOf: number = Infinity): string | undefined {
  return mappings.findLast(({ since }) => since <= asOf)?.id;
}

import type { Adapter, IdentityPort } from "@tidemark/core/spi";
import { turn } from "../expect.ts";
import { override, type Tooth } from "../law.ts";

/** An adapter that keeps identities in another way, inside of transactions and outside. */
function changeIdentities<Tx>(real: Adapter<Tx>, change: (port: IdentityPort) => Partial<IdentityPort>): Adapter<Tx> {
  return override(real, () => ({
    identities: override(real.identities, change),
    within: (tx) => override(real.within(tx), (port) => ({ identities: override(port.identities, change) })),
  }));
}

export function identitiesThat(lie: string, change: (port: IdentityPort) => Partial<IdentityPort>): Tooth {
  return { lie, adapter: (real) => changeIdentities(real, change) };
}

/** Asks for another moment than the one that it was asked for. */
export function asksAsOf(lie: string, moment: (asOf: number | undefined) => number | undefined): Tooth {
  return identitiesThat(lie, (port) => ({
    systemId: (type, actorId, asOf, op) => port.systemId(type, actorId, moment(asOf), op),
    actorId: (type, systemId, asOf, op) => port.actorId(type, systemId, moment(asOf), op),
  }));
}

/** Takes one id, or type, for another. */
export function mistakesIds(lie: string, change: (text: string) => string): Tooth {
  return identitiesThat(lie, (port) => ({
    systemId: (type, actorId, asOf, op) => port.systemId(change(type), change(actorId), asOf, op),
    actorId: (type, systemId, asOf, op) => port.actorId(change(type), change(systemId), asOf, op),
    map: (type, systemId, actorId, op) => port.map(change(type), change(systemId), change(actorId), op),
    resolve: (type, actorId, systemId, op) => port.resolve(change(type), change(actorId), change(systemId), op),
  }));
}

export const mintsEachTime: Tooth = identitiesThat("mints a system id each time", (port) => ({
  systemId: async (type, actorId, asOf, op) =>
    asOf === undefined ? undefined : port.systemId(type, actorId, asOf, op),
  resolve: async (type, actorId, systemId, op) => {
    await port.map(type, systemId, actorId, op);
    return systemId;
  },
}));

/** What looking and then writing comes to, where something else may happen in between. */
export const looksBeforeItMaps: Tooth = identitiesThat("maps every id that it did not find a moment ago", (port) => ({
  resolve: async (type, actorId, systemId, op) => {
    const known = await port.systemId(type, actorId, undefined, op);
    if (known !== undefined) return known;
    await turn(5);
    await port.map(type, systemId, actorId, op);
    return systemId;
  },
}));

/** Remembers when it was asked, which may be long before it had the lock. */
export const asksTheClockFirst: Tooth = identitiesThat(
  "lets mappings begin before it has waited for its turn",
  (port) => ({
    map: async (type, systemId, actorId, op) => {
      asked.push({ systemId, actorId, at: Date.now() });
      await port.map(type, systemId, actorId, op);
    },
    systemId: async (_type, actorId, asOf = Infinity) =>
      asked.findLast((mapping) => mapping.actorId === actorId && mapping.at <= asOf)?.systemId,
  }),
);

/** By all stores: what one of them has mapped the others know. */
const asked: { readonly systemId: string; readonly actorId: string; readonly at: number }[] = [];

/** Knows of each mapping when it was made last. */
export const beginsAnew: Tooth = identitiesThat("lets a mapping that is made again begin anew", (port) => {
  const made = new Map<string, number>();
  return {
    map: async (type, systemId, actorId, op) => {
      await port.map(type, systemId, actorId, op);
      made.set(actorId, Date.now());
    },
    systemId: async (type, actorId, asOf, op) =>
      (made.get(actorId) ?? 0) > (asOf ?? Infinity) ? undefined : port.systemId(type, actorId, asOf, op),
  };
});

/** Throws the second of two mappings that are on their way at once. */
export const mapsOneAtATime: Tooth = identitiesThat("fails when two ids are mapped at once", (port) => ({
  map: async (type, systemId, actorId, op) => {
    if (mapping.has(systemId) || mapping.has(actorId)) throw new RangeError("Somebody else is mapping.");
    mapping.add(systemId).add(actorId);
    try {
      await turn(1);
      await port.map(type, systemId, actorId, op);
    } finally {
      mapping.delete(systemId);
      mapping.delete(actorId);
    }
  },
}));

const mapping = new Set<string>();

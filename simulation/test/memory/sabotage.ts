import type { MemoryTransaction } from "@tidemark/adapter-memory";
import type { Adapter, TransactionPort } from "@tidemark/core/spi";
import type { Sabotage } from "./world.ts";

/** Adapters that are broken in one way each: the simulation has to notice every one of them. */
export const SABOTAGES: Readonly<Record<string, Sabotage>> = {
  "the fence ignores the token": withPort((port) => ({
    fence: async (fence, op) => {
      const stored = await port.segment(fence.key, op);
      return port.fence({ ...fence, token: stored?.token ?? fence.token }, op);
    },
  })),
  "the fence stands in a transaction of its own": withPort((_port, adapter) => ({
    fence: (fence, op) => adapter.transaction((own) => adapter.within(own).fence(fence, op), op),
  })),
  "a zone can be entered while it is held": (adapter) => ({
    ...adapter,
    zones: {
      ...adapter.zones,
      enter: async (key, lease, op) => {
        const entry = await adapter.zones.enter(key, lease, op);
        if (entry.kind !== "busy") return entry;
        const row = await adapter.consumers.get(key, op);
        const segment = row?.segments[key.segment];
        if (segment?.position === undefined || segment.token === 0n) return entry;
        return { kind: "entered", token: segment.token, position: segment.position };
      },
    },
  }),
  "parking forgets the sequence": withPort(({ deadLetters }) => ({
    deadLetters: {
      ...deadLetters,
      park: (consumer, letters, op) =>
        deadLetters.park(
          consumer,
          letters.map((letter) => ({ ...letter, sequences: [] })),
          op,
        ),
    },
  })),
  "replay removes the letter before it handles it, in another transaction": withPort(({ deadLetters }, adapter) => ({
    deadLetters: {
      ...deadLetters,
      remove: (consumer, position, op) =>
        adapter.transaction((own) => adapter.within(own).deadLetters.remove(consumer, position, op), op),
    },
  })),
  "nobody is told that a sequence is parked": withPort(({ deadLetters }) => ({
    deadLetters: { ...deadLetters, parked: async () => [] },
  })),
  "a letter that is replayed sets nothing free": withPort(({ deadLetters }) => ({
    deadLetters: { ...deadLetters, requestWaiting: async () => undefined },
  })),
  "completions are forgotten": withPort(({ completions }) => ({
    completions: { ...completions, list: async () => [] },
  })),
  "a letter is written apart from the checkpoint": withPort(({ deadLetters }, adapter) => ({
    deadLetters: {
      ...deadLetters,
      park: (consumer, letters, op) =>
        adapter.transaction((own) => adapter.within(own).deadLetters.park(consumer, letters, op), op),
    },
  })),
  "every claim is granted": (adapter) => ({
    ...adapter,
    claims: {
      ...adapter.claims,
      claim: async (consumer, key, claim, op) => {
        await adapter.claims.claim(consumer, key, claim, op);
        return "claimed";
      },
    },
  }),
  "a saga's state is written apart from its effects": withPort(({ sagas }, adapter) => ({
    sagas: {
      ...sagas,
      update: (saga, row, op) => adapter.transaction((own) => adapter.within(own).sagas.update(saga, row, op), op),
    },
  })),
};

type ChangePort = (port: TransactionPort, adapter: Adapter<MemoryTransaction>) => Partial<TransactionPort>;

export function withPort(change: ChangePort): Sabotage {
  return (adapter) => ({
    ...adapter,
    within: (tx) => {
      const port = adapter.within(tx);
      return { ...port, ...change(port, adapter) };
    },
  });
}

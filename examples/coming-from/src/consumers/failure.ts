import type { SqliteTransaction } from "@tidemark/adapter-sqlite";
import { defineProjector, type Projector, TransientError } from "@tidemark/core";

interface Rates {
  /** From memory: a slow call does not belong inside of a transaction. */
  of(currency: string): number | "not loaded yet" | undefined;
}

export const turnover = (rates: Rates): Projector<SqliteTransaction> =>
  defineProjector<SqliteTransaction, { sold: { readonly amount: number; readonly currency: string } }>({
    name: "turnover",
    failure: { attempts: 3, then: "park", maxParkedPerSequence: 100, maxParked: 1_000 },
    handlers: {
      sold: ({ data, position }, { tx }) => {
        const rate = rates.of(data.currency);
        if (rate === "not loaded yet") throw new TransientError("No rates just now"); // waited out, never parked
        if (rate === undefined) throw new Error("Unknown currency"); // tried 3 times, then parked
        tx.prepare("insert into turnover values (?, ?)").run(position, data.amount * rate);
      },
    },
  });

import { TidemarkError } from "@tidemark/core";
import type { AppendUnit, EventIdQuery, StoredEvent } from "@tidemark/core/spi";
import { override, type Tooth } from "../law.ts";
import { onUnits } from "./append.ts";

/** Asks for other events than those that it was asked for, inside of transactions and outside. */
export function asksForEvents(lie: string, change: (query: EventIdQuery) => EventIdQuery): Tooth {
  return {
    lie,
    adapter: (real) =>
      override(real, () => ({
        readEventsById: (query, op) => real.readEventsById(change(query), op),
        within: (tx) =>
          override(real.within(tx), (port) => ({
            readEventsById: (query, op) => port.readEventsById(change(query), op),
          })),
      })),
  };
}

/** Gives other events than those that there are. */
export function givesEvents(
  lie: string,
  change: (events: readonly StoredEvent[], query: EventIdQuery) => readonly StoredEvent[],
): Tooth {
  return {
    lie,
    adapter: (real) =>
      override(real, () => ({
        readEventsById: async (query, op) => change(await real.readEventsById(query, op), query),
      })),
  };
}

/** Appends something else than what it was given. */
export function appendsAs(lie: string, change: (unit: AppendUnit) => AppendUnit): Tooth {
  return { lie, adapter: (real) => onUnits(real, change) };
}

const POOL = 3;

/** What a cursor does that is not closed. */
export const keepsConnections: Tooth = {
  lie: "gives the connection of a stream back only when it is read to its end",
  adapter: (real) => {
    let taken = 0;
    return override(real, () => ({
      readEventsById: async (query, op) => {
        if (query.after === "") {
          if (taken === POOL)
            throw new TidemarkError("BUSY", "All connections are taken.", { adapter: real.name, waitedMs: 0 });
          taken += 1;
        }
        const page = await real.readEventsById(query, op);
        if (page.length < query.limit) taken -= 1;
        return page;
      },
    }));
  },
};

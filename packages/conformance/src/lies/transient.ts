import { consume, type EventSource, isTransient, type Store } from "@tidemark/core";
import { override, type Tooth } from "../law.ts";
import { changeClaims } from "../observers.ts";

/** Broken ways of dealing with a database that is away for a moment while a consumer writes down how it is doing. */

function final(error: unknown): never {
  throw isTransient(error) ? new Error("no luck", { cause: String(error) }) : error;
}

/** Consumes with a store of which some calls fail for good where they should be tried again. */
function consumesWith(
  lie: string,
  change: <Tx>(store: Store<Tx>) => Partial<Store<Tx>>,
  changeLog: (log: EventSource) => EventSource = (log) => log,
): Tooth {
  return {
    lie,
    consume: (store, consumer, options) => {
      const { log = store, ...others } = { ...options };
      return consume(override(store, change), consumer, { ...others, log: changeLog(log) });
    },
  };
}

export const givesUpRecording: Tooth = consumesWith("gives up when an error cannot be recorded at once", (store) => ({
  consumers: override(store.consumers, (consumers) => ({
    recordError: (...args) => consumers.recordError(...args).catch(final),
  })),
}));

export const givesUpClaiming: Tooth = consumesWith("gives up when a claim cannot be asked for at once", (store) => ({
  claims: override(store.claims, (claims) => ({
    claim: (...args) => claims.claim(...args).catch(final),
    complete: (...args) => claims.complete(...args).catch(final),
    release: (...args) => claims.release(...args).catch(final),
  })),
}));

export const givesUpReading: Tooth = consumesWith(
  "gives up when an event cannot be read again at once",
  () => ({}),
  (log) => override(log, (real) => ({ readAll: (...args) => real.readAll(...args).catch(final) })),
);

export const keepsClaims: Tooth = {
  lie: "never gives a claim back",
  adapter: (real) => changeClaims(real, () => ({ release: async () => undefined })),
};

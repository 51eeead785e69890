import {
  type Consumer,
  consume,
  type ConsumerStateStore,
  type ConsumerStateStoreOptions,
  createConsumerStateStore,
  isTidemarkError,
  type ScopedConsumer,
  type Store,
} from "@tidemark/core";
import type { Adapter, LetterPort, LetterRecords } from "@tidemark/core/spi";
import { changeRecords } from "../faults.ts";
import { override, type Tooth } from "../law.ts";

/** Broken consumer state stores: core's own with one behaviour changed. */
export function stateStoreThat(
  lie: string,
  change: <Tx>(
    real: ConsumerStateStore<Tx>,
    given: { readonly store: Store<Tx>; readonly options: ConsumerStateStoreOptions },
  ) => Partial<ConsumerStateStore<Tx>>,
): Tooth {
  return {
    lie,
    stateStore: (store, options) =>
      override(createConsumerStateStore(store, options), (real) => change(real, { store, options: options ?? {} })),
  };
}

/** A consumer state store with other options than the given ones. */
export function stateStoreWith(
  lie: string,
  change: (options: ConsumerStateStoreOptions) => ConsumerStateStoreOptions,
): Tooth {
  return {
    lie,
    stateStore: (store, options) => createConsumerStateStore(store, { ...options, ...change(options ?? {}) }),
  };
}

export const countsNothing: Tooth = stateStoreThat("says of every cycle that it handled nothing", (real) => ({
  consumeEventsForProjector: async (...args) => (await real.consumeEventsForProjector(...args), 0),
  consumeEventsForObserver: async (...args) => (await real.consumeEventsForObserver(...args), 0),
  consumeEventsForSaga: async (...args) => (await real.consumeEventsForSaga(...args), 0),
}));

export const hidesBusy: Tooth = stateStoreThat("says of a taken zone that there was nothing to do", (real) => ({
  consumeEventsForProjector: async (...args) => Math.max(0, await real.consumeEventsForProjector(...args)),
  consumeEventsForObserver: async (...args) => Math.max(0, await real.consumeEventsForObserver(...args)),
  consumeEventsForSaga: async (...args) => Math.max(0, await real.consumeEventsForSaga(...args)),
  consumeDeadEventsForProjector: async (...args) => Math.max(0, await real.consumeDeadEventsForProjector(...args)),
  consumeDeadEventsForObserver: async (...args) => Math.max(0, await real.consumeDeadEventsForObserver(...args)),
  consumeDeadEventsForSaga: async (...args) => Math.max(0, await real.consumeDeadEventsForSaga(...args)),
}));

/** Consumes with other arguments. */
export function consumesInContext(lie: string, map: (context: string | undefined) => string | undefined): Tooth {
  return stateStoreThat(lie, (real) => ({
    consumeEventsForProjector: (id, name, context, ...rest) =>
      real.consumeEventsForProjector(id, name, map(context), ...rest),
    consumeEventsForObserver: (id, name, context, ...rest) =>
      real.consumeEventsForObserver(id, name, map(context), ...rest),
    consumeEventsForSaga: (id, name, context, ...rest) => real.consumeEventsForSaga(id, name, map(context), ...rest),
  }));
}

/** Does `before` before dead events are consumed again. */
export function consumesDeadEvents(
  lie: string,
  before: (store: Store<unknown>, consumerId: string) => Promise<unknown>,
): Tooth {
  return stateStoreThat(lie, (real, { store }) => ({
    consumeDeadEventsForProjector: async (id, ...rest) => (
      await before(store, id),
      real.consumeDeadEventsForProjector(id, ...rest)
    ),
    consumeDeadEventsForObserver: async (id, ...rest) => (
      await before(store, id),
      real.consumeDeadEventsForObserver(id, ...rest)
    ),
    consumeDeadEventsForSaga: async (id, ...rest) => (
      await before(store, id),
      real.consumeDeadEventsForSaga(id, ...rest)
    ),
  }));
}

export const entersByItself: Tooth = stateStoreThat("enters a zone by itself in order to write", (real) => {
  const inZone = async <T>(consumerId: string, work: () => Promise<T>): Promise<T> => {
    const entered = await real.enterExclusiveZone(consumerId);
    try {
      return await work();
    } finally {
      if (entered) await real.leaveExclusiveZone(consumerId);
    }
  };
  return {
    setLastEventSequenceNumber: (id, position) => inZone(id, () => real.setLastEventSequenceNumber(id, position)),
    setSagaState: (id, name, state, options) => inZone("writer", () => real.setSagaState(id, name, state, options)),
    removeSagaState: (id, name, options) => inZone("writer", () => real.removeSagaState(id, name, options)),
  };
});

export const letsItselfInAgain: Tooth = stateStoreThat("lets the holder of a zone enter it a second time", (real) => {
  const entered = new Set<string>();
  return {
    enterExclusiveZone: async (id, kind) => {
      if (await real.enterExclusiveZone(id, kind)) entered.add(id);
      return entered.has(id);
    },
  };
});

/** Takes an outage for an answer: a consumer that nobody knows is enabled. */
export const failsOpen: Tooth = {
  lie: "takes a consumer that it cannot look up for one that nobody has disabled",
  adapter: (real) =>
    changeRecords(real, (records) => ({
      get: (key, op) =>
        records.get(key, op).catch((error: unknown) => {
          if (isTidemarkError(error, "UNAVAILABLE")) return undefined;
          throw error;
        }),
    })),
};

/** An adapter that keeps dead letters in another way. */
export function changeParking<Tx>(
  real: Adapter<Tx>,
  change: (port: LetterPort) => Partial<LetterPort>,
  list: (records: LetterRecords) => Partial<LetterRecords> = () => ({}),
): Adapter<Tx> {
  return override(real, () => ({
    deadLetters: override(real.deadLetters, list),
    within: (tx) => override(real.within(tx), (port) => ({ deadLetters: override(port.deadLetters, change) })),
  }));
}

/** Consumes a plain consumer as if it were another one. */
export function consumesPlain(
  lie: string,
  change: <Tx>(consumer: ScopedConsumer<Tx>) => Partial<ScopedConsumer<Tx>>,
): Tooth {
  return {
    lie,
    consume: (store, consumer, options) => {
      if ("kind" in consumer) return consume(store, consumer, options);
      return consume(store, override<Consumer<never>>(consumer as Consumer<never>, change) as typeof consumer, options);
    },
  };
}

import {
  consume,
  type ConsumeOptions,
  type ConsumeResult,
  type EventSource,
  type Observer,
  type Position,
  type Store,
} from "@tidemark/core";
import type { Adapter, LetterPort } from "@tidemark/core/spi";
import { changeFence } from "../faults.ts";
import { override, type Tooth } from "../law.ts";
import { changeCompletions } from "../observers.ts";

/** Broken ways of observing. */

/** Consumes observers in another way; other consumers as core does. */
export function consumesObservers(
  lie: string,
  how: <Tx>(store: Store<Tx>, observer: Observer, options: ConsumeOptions) => Promise<ConsumeResult>,
): Tooth {
  return {
    lie,
    consume: (store, consumer, options) =>
      "kind" in consumer && consumer.kind === "observer"
        ? how(store, consumer, { ...options })
        : consume(store, consumer, options),
  };
}

/** Consumes by another observer than the given one. */
export function observesAs(lie: string, change: (observer: Observer) => Partial<Observer>): Tooth {
  return consumesObservers(lie, (store, observer, options) =>
    consume(store, { ...observer, ...change(observer) }, options),
  );
}

/** Consumes with other options than the given ones. */
export function observesWith(lie: string, change: ConsumeOptions): Tooth {
  return consumesObservers(lie, (store, observer, options) => consume(store, observer, { ...options, ...change }));
}

/** Calls handlers in another way. */
export function observesBy(lie: string, change: (handle: Observer["handle"]) => Observer["handle"]): Tooth {
  return observesAs(lie, ({ handle }) => ({ handle: change(handle) }));
}

/** Reads another log than the given one. */
function readsAs(lie: string, change: (log: EventSource) => Partial<EventSource>): Tooth {
  return consumesObservers(lie, (store, observer, options) =>
    consume(store, observer, { ...options, log: override(options.log ?? store, change) }),
  );
}

/** As if every event had an aggregate of its own; handlers get it as it is. */
export const ignoresAggregates: Tooth = consumesObservers(
  "runs the events of one aggregate side by side",
  (store, observer, options) => {
    const ids = new Map<string, string>();
    const log = override(options.log ?? store, (real: EventSource) => ({
      readAll: async (query) => {
        const page = await real.readAll(query);
        const events = page.events.map((event) => {
          const id = `${event.aggregate.id} ${event.version}`;
          ids.set(id, event.aggregate.id);
          return { ...event, aggregate: { ...event.aggregate, id } };
        });
        return { ...page, events };
      },
    }));
    const handle: Observer["handle"] = (event, context) => {
      const id = ids.get(event.aggregate.id) ?? event.aggregate.id;
      return observer.handle({ ...event, aggregate: { ...event.aggregate, id } }, context);
    };
    return consume(store, { ...observer, handle }, { ...options, log });
  },
);

/** The checkpoint of whoever counts what is done instead of what is done without a gap. */
export const passesWhatRuns: Tooth = {
  lie: "moves the checkpoint to the last completed position, whatever is running before it",
  adapter: (real) => {
    let last: Position | undefined;
    const noting = changeCompletions(real, (completions) => ({
      record: async (key, positions, checkpoint, op) => {
        last = positions.at(-1) ?? last;
        await completions.record(key, positions, checkpoint, op);
      },
    }));
    return changeFence(noting, (port, fence, op) =>
      port.fence({ ...fence, to: last !== undefined && last > fence.to ? last : fence.to }, op),
    );
  },
};

export const stopsAtGaps: Tooth = readsAs("takes a gap in the positions for the end of the log", (log) => ({
  readAll: async (query = {}) => {
    const page = await log.readAll(query);
    const after = query.after ?? 0n;
    const gap = page.events.findIndex((event, index) => event.position !== after + BigInt(index) + 1n);
    if (gap === -1) return page;
    const events = page.events.slice(0, gap);
    return { events, next: events.at(-1)?.position ?? query.after ?? page.next };
  },
}));

export const forgetsCompletions: Tooth = {
  lie: "forgets what was completed above the checkpoint",
  adapter: (real) => changeCompletions(real, () => ({ list: async () => [] })),
};

export const parksAfterwards: Tooth = {
  lie: "writes dead letters in a transaction after that of the checkpoint",
  adapter: parkAfterwards,
};

function parkAfterwards<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  const behind: ((letters: LetterPort) => Promise<void>)[] = [];
  return override(real, () => ({
    within: (tx) =>
      override(real.within(tx), (port) => ({
        deadLetters: override(port.deadLetters, () => ({
          park: async (key, rows, op) => void behind.push((letters) => letters.park(key, rows, op)),
        })),
      })),
    transaction: async (work, op) => {
      const result = await real.transaction(work, op);
      for (const park of behind.splice(0)) await real.transaction((tx) => park(real.within(tx).deadLetters), op);
      return result;
    },
  }));
}

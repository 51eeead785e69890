import { setTimeout } from "node:timers/promises";
import { type Position, START, type Store, TidemarkError, type WaitOptions } from "@tidemark/core";
import type { AggregateQuery, LogPage, LogQuery, LogScope, StoredEvent } from "@tidemark/core/spi";
import { override, type Tooth } from "../law.ts";
import { watchAppends } from "./order.ts";

/** A store that asks its database another question than the one that it was asked about an aggregate. */
export function misreadsAggregates(lie: string, change: (query: AggregateQuery) => AggregateQuery): Tooth {
  return {
    lie,
    adapter: (real) => override(real, () => ({ readAggregate: (query, op) => real.readAggregate(change(query), op) })),
  };
}

/** A store that asks its database another question than the one that it was asked about the log. */
export function misreadsLog(lie: string, change: (query: LogQuery) => LogQuery): Tooth {
  return {
    lie,
    adapter: (real) => override(real, () => ({ readAll: (query, op) => real.readAll(change(query), op) })),
  };
}

export function misreadsScope(lie: string, change: (scope: LogScope) => Partial<LogScope>): Tooth {
  return misreadsLog(lie, (query) => ({ ...query, scope: { ...query.scope, ...change(query.scope) } }));
}

/** A store that changes the pages of the log which its database answers with. */
export function forgesPages(lie: string, change: (page: LogPage, query: LogQuery, head: Position) => LogPage): Tooth {
  return {
    lie,
    adapter: (real) =>
      override(real, () => ({
        readAll: async (query, op) => change(await real.readAll(query, op), query, await real.head(op)),
      })),
  };
}

export const splitsByPosition: Tooth = {
  lie: "spreads events over segments by their positions",
  adapter: (real) =>
    override(real, () => ({
      readAll: async (query, op) => {
        const { scope } = query;
        const page = await real.readAll({ ...query, scope: { ...scope, segment: 0, segments: 1 } }, op);
        const inSegment = (event: StoredEvent): boolean => Number(event.position) % scope.segments === scope.segment;
        return { ...page, events: page.events.filter(inSegment) };
      },
    })),
};

export const foldsCase: Tooth = {
  lie: "compares the names of a scope without regard to case",
  adapter: (real) =>
    override(real, () => ({
      readAll: async (query, op) => {
        const { scope } = query;
        const page = await real.readAll({ ...query, scope: { ...scope, aggregateTypes: [] } }, op);
        const wanted = scope.aggregateTypes.map((type) => type.toLowerCase());
        const matches = (event: StoredEvent): boolean =>
          wanted.length === 0 || wanted.includes(event.ref.type.toLowerCase());
        return { ...page, events: page.events.filter(matches) };
      },
    })),
};

export const storesOtherBuckets: Tooth = {
  lie: "stores another bucket with its events",
  adapter: (real) =>
    override(real, () => ({
      appendBatch: (units, op) => {
        const moved = units.map((unit) => ({
          ...unit,
          parts: unit.parts.map((part) => ({ ...part, bucket: (part.bucket + 1) % 1024 })),
        }));
        return real.appendBatch(moved, op);
      },
    })),
};

export const answersForAnotherType: Tooth = {
  lie: "falls back to another aggregate of the same id",
  adapter: (real) =>
    override(real, () => ({
      readAggregate: async (query, op) => {
        const page = await real.readAggregate(query, op);
        return page.length > 0 ? page : real.readAggregate({ ...query, ref: { ...query.ref, type: "account" } }, op);
      },
    })),
};

const POOL = 10;

/** What a cursor does that is not closed. */
export const keepsConnections: Tooth = {
  lie: "gives the connection of a stream back only when it is read to its end",
  adapter: (real) => {
    let taken = 0;
    return override(real, () => ({
      readAggregate: async (query, op) => {
        if (query.from === 1) {
          if (taken === POOL)
            throw new TidemarkError("BUSY", "All connections are taken.", { adapter: real.name, waitedMs: 0 });
          taken += 1;
        }
        const page = await real.readAggregate(query, op);
        if (page.length < query.limit) taken -= 1;
        return page;
      },
    }));
  },
};

export const streamsToTheEndOfThePage: Tooth = {
  lie: "streams on to the end of its page when the signal fires",
  store: (real) =>
    override(real, () => ({
      async *readAggregate(aggregate, { signal, ...options } = {}) {
        for await (const event of real.readAggregate(aggregate, options)) {
          yield event;
          if (event.version % 16 === 0) await real.head({ signal });
        }
      },
    })),
};

export const seesOnlyItself: Tooth = {
  lie: "moves the head with its own appends only",
  adapter: (real) => {
    let last = START;
    const watched = watchAppends(real, (appended) => (last = appended.at(-1)?.position ?? last));
    return override(watched, () => ({ head: async () => last }));
  },
};

/** A store whose `wait` is another one. */
export function waits(
  lie: string,
  wait: (real: Pick<Store<never>, "wait" | "head">, after: Position, options: WaitOptions) => Promise<Position>,
): Tooth {
  return {
    lie,
    store: (real) => override(real, () => ({ wait: (after, options = {}) => wait(real, after, options) })),
  };
}

export const onlyTimesOut: Tooth = waits("wakes by timeout only", async (real, _after, { timeoutMs }) => {
  await setTimeout(timeoutMs, undefined, { ref: false });
  return real.head();
});

export const hearsNothing: Tooth = {
  lie: "listens to nobody",
  adapter: (real) => override(real, () => ({ listen: () => () => undefined })),
};

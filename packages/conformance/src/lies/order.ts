import { consume as coreConsume, type Position, START, TidemarkError, toPosition } from "@tidemark/core";
import type { Adapter, AppendOutcome, AppendUnit, FrontierHolderRow, StoredEvent } from "@tidemark/core/spi";
import { override, type Tooth } from "../law.ts";
import { givesContext } from "./consuming.ts";

/** What is told of every append of an adapter; `tx` is undefined outside of transactions. */
type OnAppend<Tx> = (
  appended: readonly { readonly id: string; readonly position: Position }[],
  tx: Tx | undefined,
) => void;

/** `real`, watched: wrappers have to know what stands in open transactions, as no adapter tells that. */
export function watchAppends<Tx>(real: Adapter<Tx>, onAppend: OnAppend<Tx>): Adapter<Tx> {
  const watch =
    (port: Pick<Adapter<Tx>, "appendBatch">, tx: Tx | undefined): Adapter<Tx>["appendBatch"] =>
    async (units, op) => {
      const outcomes = await port.appendBatch(units, op);
      onAppend(
        units.flatMap((unit, index) => appendedEvents(unit, outcomes[index])),
        tx,
      );
      return outcomes;
    };
  return override(real, () => ({
    appendBatch: watch(real, undefined),
    within: (tx) => override(real.within(tx), (port) => ({ appendBatch: watch(port, tx) })),
  }));
}

/** What a store does that takes the last value of its sequence for the head. */
export const readsPastOpenAppends: Tooth = {
  lie: "tells the last position that was given out, committed or not",
  adapter: (real) => {
    let highest = START;
    const watched = watchAppends(real, (appended) => {
      for (const { position } of appended) highest = later(highest, position);
    });
    return override(watched, () => ({
      head: async (op) => later(await real.head(op), highest),
      readAll: async (query, op) => {
        const page = await real.readAll(query, op);
        return page.events.length === query.limit ? page : { ...page, next: later(page.next, highest) };
      },
    }));
  },
};

/** Off by one, in the one place where nobody looks: at the end of the log. */
export const readsOneTooFar: Tooth = {
  lie: "hands out the position that it will give next as the head",
  adapter: (real) =>
    override(real, () => ({
      head: async (op) => toPosition((await real.head(op)) + 1n),
      readAll: async (query, op) => {
        const page = await real.readAll(query, op);
        return page.events.length === query.limit ? page : { ...page, next: toPosition(page.next + 1n) };
      },
    })),
};

/** What a reader does that waits for gaps in the positions to be filled. */
export const waitsForTheLost: Tooth = {
  lie: "waits for appends that were rolled back",
  adapter: (real) => {
    const missing = new Map<string, Position>();
    const watched = watchAppends(real, (appended) => {
      for (const { id, position } of appended) missing.set(id, position);
    });
    return override(watched, () => ({
      readAll: async (query, op) => {
        const page = await real.readAll(query, op);
        for (const event of page.events) missing.delete(event.id);
        const isBehindNone = (position: Position): boolean => [...missing.values()].every((other) => position < other);
        const events = page.events.filter((event) => isBehindNone(event.position));
        return { events, next: isBehindNone(page.next) ? page.next : (events.at(-1)?.position ?? query.after) };
      },
    }));
  },
};

/** What a frontier does that knows one append of each transaction. */
export const showsLastAppendOnly: Tooth = {
  lie: "shows readers only the last append of a transaction",
  adapter: (real) => {
    const hidden = new Set<string>();
    const last = new Map<unknown, readonly string[]>();
    const watched = watchAppends(real, (appended, tx) => {
      if (tx === undefined) return;
      for (const id of last.get(tx) ?? []) hidden.add(id);
      last.set(
        tx,
        appended.map((event) => event.id),
      );
    });
    return override(watched, () => ({ readAll: hides(real, (event) => hidden.has(event.id)) }));
  },
};

const LOCK_TABLE = 10_000;

/** What one lock per append does to a server's lock table. */
export const locksEachAppend: Tooth = {
  lie: "takes a lock for each append of a transaction, and has room for ten thousand",
  adapter: (real) => {
    let locks = 0;
    return watchAppends(real, () => {
      locks += 1;
      if (locks > LOCK_TABLE) throw new TidemarkError("CONTENTION", "Out of locks.", { adapter: real.name });
    });
  },
};

/** What a horizon of transaction ids does. */
export const waitsForEveryTransaction: Tooth = {
  lie: "shows readers nothing that was committed since the oldest open transaction began",
  adapter: (real) => {
    const horizons = new Set<Position>();
    return override(real, () => ({
      transaction: (work, op) =>
        real.transaction(async (tx) => {
          const horizon = await real.head(op);
          horizons.add(horizon);
          return work(tx).finally(() => horizons.delete(horizon));
        }, op),
      readAll: async (query, op) => {
        const page = await real.readAll(query, op);
        const events = page.events.filter((event) => [...horizons].every((horizon) => event.position <= horizon));
        return events.length === page.events.length ? page : { events, next: events.at(-1)?.position ?? query.after };
      },
    }));
  },
};

/** An adapter that tells somebody else of who holds its frontier back. */
export function holders(
  lie: string,
  change: (real: readonly FrontierHolderRow[]) => readonly FrontierHolderRow[],
): Tooth {
  return {
    lie,
    adapter: (real) =>
      override(real, () => ({ frontierHolders: async (op) => change(await real.frontierHolders(op)) })),
  };
}

export const holdsBackForEver: Tooth = {
  lie: "tells of appends as if they were open for ever",
  adapter: (real) => {
    const known: FrontierHolderRow[] = [];
    const watched = watchAppends(real, (appended) => {
      for (const { id, position } of appended) {
        known.push({ position, since: undefined, session: id, application: undefined });
      }
    });
    return override(watched, () => ({ frontierHolders: async () => known }));
  },
};

/** What a look at all open transactions tells. */
export const suspectsEveryTransaction: Tooth = {
  lie: "tells of every open transaction, whether it has appended or not",
  adapter: (real) => {
    const open = new Map<object, FrontierHolderRow>();
    return override(real, () => ({
      transaction: async (work, op) => {
        const key = {};
        open.set(key, { position: await real.head(op), since: undefined, session: "1", application: undefined });
        return real.transaction(work, op).finally(() => open.delete(key));
      },
      frontierHolders: async (op) => [...(await real.frontierHolders(op)), ...open.values()],
    }));
  },
};

/** What a reader does that takes the writer's lock. */
export const readsBehindWriters: Tooth = {
  lie: "lets readers wait for the open transaction",
  adapter: (real) => {
    let open: Promise<unknown> = Promise.resolve();
    return override(real, () => ({
      transaction: (work, op) => {
        const running = real.transaction(work, op);
        open = running.catch(() => undefined);
        return running;
      },
      readAll: async (query, op) => {
        await open;
        return real.readAll(query, op);
      },
    }));
  },
};

/** Refuses where the promise is to wait. */
export const refusesSecondWriter: Tooth = {
  lie: "refuses a second writer instead of letting it wait",
  adapter: (real) => {
    let isHeld = false;
    const watched = watchAppends(real, (_appended, tx) => {
      if (tx !== undefined) isHeld = true;
    });
    return override(watched, () => ({
      appendBatch: (units, op) => {
        if (isHeld) throw new TidemarkError("BUSY", "Somebody else is writing.", { adapter: real.name, waitedMs: 0 });
        return real.appendBatch(units, op);
      },
    }));
  },
};

/** What `context.append` is there to avoid. */
export const appendsAtOnce: Tooth = givesContext(
  "writes what a handler appends at once instead of with the commit",
  ({ context }) => ({ ...context, append: (request) => void context.store.append(request) }),
);

let running = 0;

export const consumesOneAtATime: Tooth = {
  lie: "gives a consumer up while a handler of another one is awaiting",
  consume: async (store, projector, options) => {
    if (running > 0) return { kind: "busy" };
    running += 1;
    try {
      return await coreConsume(store, projector, options);
    } finally {
      running -= 1;
    }
  },
};

export const forgetsLogs: Tooth = {
  lie: "forgets which log a checkpoint belongs to",
  adapter: (real) =>
    override(real, () => ({
      consumers: override(real.consumers, (records) => ({
        get: async (key, op) => {
          const row = await records.get(key, op);
          return row === undefined ? undefined : { ...row, logId: undefined };
        },
        declare: async (declaration, op) => ({ ...(await records.declare(declaration, op)), logId: undefined }),
      })),
    })),
};

function hides<Tx>(real: Adapter<Tx>, isHidden: (event: StoredEvent) => boolean): Adapter<Tx>["readAll"] {
  return async (query, op) => {
    const page = await real.readAll(query, op);
    return { ...page, events: page.events.filter((event) => !isHidden(event)) };
  };
}

function appendedEvents(
  unit: AppendUnit,
  outcome: AppendOutcome | undefined,
): { readonly id: string; readonly position: Position }[] {
  if (outcome?.kind !== "appended") return [];
  const positions = outcome.parts.flatMap((part) => part.positions);
  const events = unit.parts.flatMap((part) => part.events);
  return positions.map((position, index) => ({ id: events[index]?.id ?? "", position }));
}

function later(a: Position, b: Position): Position {
  return a > b ? a : b;
}

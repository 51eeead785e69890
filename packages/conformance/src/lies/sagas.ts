import {
  consume,
  type Deadline,
  type RecordedEvent,
  type SagaConsumer,
  type SagaContext,
  type SagaHandler,
  type SagaHandling,
} from "@tidemark/core";
import type {
  Adapter,
  Association,
  DeadlinePort,
  DeadlineReader,
  DeadlineRow,
  Operation,
  SagaPort,
  SagaReader,
  SagaRow,
} from "@tidemark/core/spi";
import { override, type Tooth } from "../law.ts";
import { unless } from "./zones.ts";

/** Broken stores and broken ways of consuming that laws about sagas are held against. */

/** An adapter that writes sagas in another way. */
export function changeSagas<Tx>(real: Adapter<Tx>, change: (port: SagaPort) => Partial<SagaPort>): Adapter<Tx> {
  return override(real, () => ({
    within: (tx) => override(real.within(tx), (port) => ({ sagas: override(port.sagas, change) })),
  }));
}

/** An adapter that finds sagas in another way, inside of transactions and outside. */
export function changeFinding<Tx>(real: Adapter<Tx>, change: (reader: SagaReader) => Partial<SagaReader>): Adapter<Tx> {
  return override(
    changeSagas(real, (port) => change(port)),
    () => ({ sagas: override(real.sagas, change) }),
  );
}

/** An adapter that writes deadlines in another way. */
export function changeDeadlines<Tx>(
  real: Adapter<Tx>,
  change: (port: DeadlinePort) => Partial<DeadlinePort>,
): Adapter<Tx> {
  return override(real, () => ({
    within: (tx) => override(real.within(tx), (port) => ({ deadlines: override(port.deadlines, change) })),
  }));
}

/** As {@link changeDeadlines}, and what is due, inside of transactions and outside. */
export function changeDue<Tx>(
  real: Adapter<Tx>,
  due: (reader: DeadlineReader, saga: string, limit: number, op: Operation) => Promise<readonly DeadlineRow[]>,
  writes: (port: DeadlinePort) => Partial<DeadlinePort> = () => ({}),
): Adapter<Tx> {
  const reads = (reader: DeadlineReader): Pick<DeadlineReader, "due"> => ({
    due: (saga, limit, op) => due(reader, saga, limit, op),
  });
  return override(
    changeDeadlines(real, (port) => ({ ...writes(port), ...reads(port) })),
    () => ({ deadlines: override(real.deadlines, reads) }),
  );
}

export function findsAs(
  lie: string,
  find: (reader: SagaReader, saga: string, association: Association, op: Operation) => Promise<readonly SagaRow[]>,
): Tooth {
  return {
    lie,
    adapter: (real) =>
      changeFinding(real, (reader) => ({ find: (saga, association, op) => find(reader, saga, association, op) })),
  };
}

export const findsNothing: Tooth = findsAs("finds no saga by anything", async () => []);

/** What a law without a page's worth of sagas calls all of them. */
export function everySaga(reader: SagaReader, saga: string, op: Operation): Promise<readonly SagaRow[]> {
  return reader.list(saga, undefined, 1_000, op);
}

export const updatesAnyVersion: Tooth = {
  lie: "updates and removes a saga whatever its version is",
  adapter: (real) =>
    changeSagas(real, (port) => ({
      update: async (saga, row, op) => {
        for (;;) {
          const stored = await port.get(saga, row.id, op);
          if (stored === undefined) return false;
          if (await port.update(saga, { ...row, version: stored.version }, op)) return true;
        }
      },
      remove: async (saga, id, _version, op) => {
        const stored = await port.get(saga, id, op);
        return stored !== undefined && port.remove(saga, id, stored.version, op);
      },
    })),
};

export const onlySaysRemoved: Tooth = {
  lie: "only says that it has removed a saga",
  adapter: (real) => changeSagas(real, () => ({ remove: async () => true })),
};

/** Does something else with the texts of associations before they are stored and looked for. */
export function mapsAssociations(lie: string, map: (text: string) => string): Tooth {
  const mapped = ({ property, value }: Association): Association => ({ property: map(property), value: map(value) });
  return {
    lie,
    adapter: (real) => {
      const finding = changeFinding(real, (reader) => ({
        find: (saga, association, op) => reader.find(saga, mapped(association), op),
      }));
      return changeSagas(finding, (port) => ({
        insert: (saga, row, op) => port.insert(saga, { ...row, associations: row.associations.map(mapped) }, op),
        update: (saga, row, op) => port.update(saga, { ...row, associations: row.associations.map(mapped) }, op),
      }));
    },
  };
}

/** Writes sagas, or forgets deadlines, in a transaction of its own after that of the checkpoint. */
export function afterwards(lie: string, what: "sagas" | "deadlines"): Tooth {
  return { lie, adapter: (real) => writeAfterwards(real, what) };
}

function writeAfterwards<Tx>(real: Adapter<Tx>, what: "sagas" | "deadlines"): Adapter<Tx> {
  const put = new Map<Tx, ((tx: Tx) => Promise<unknown>)[]>();
  const putOff = (tx: Tx, write: (tx: Tx) => Promise<unknown>): Promise<true> => {
    put.set(tx, [...(put.get(tx) ?? []), write]);
    return Promise.resolve(true);
  };
  return override(real, () => ({
    within: (tx) =>
      override(real.within(tx), (port) =>
        what === "sagas"
          ? {
              sagas: override(port.sagas, () => ({
                insert: (saga, row, op) => putOff(tx, (own) => real.within(own).sagas.insert(saga, row, op)),
                update: (saga, row, op) => putOff(tx, (own) => real.within(own).sagas.update(saga, row, op)),
              })),
            }
          : {
              deadlines: override(port.deadlines, () => ({
                remove: (saga, id, name, op) =>
                  putOff(tx, (own) => real.within(own).deadlines.remove(saga, id, name, op)),
              })),
            },
      ),
    transaction: async <T>(work: (tx: Tx) => Promise<T>, op: Operation): Promise<T> => {
      let writes: readonly ((tx: Tx) => Promise<unknown>)[] = [];
      const value = await real.transaction(async (tx) => {
        const result = await work(tx);
        writes = put.get(tx) ?? [];
        return result;
      }, op);
      // Without the signal of the first one: it is over.
      for (const write of writes) await real.transaction(write, {});
      return value;
    },
  }));
}

/** Consumes by another saga than the given one. */
export function followsAs(lie: string, change: <Tx>(saga: SagaConsumer<Tx>) => Partial<SagaConsumer<Tx>>): Tooth {
  return {
    lie,
    consume: (store, consumer, options) => {
      const isSaga = "kind" in consumer && consumer.kind === "saga";
      return consume(store, isSaga ? { ...consumer, ...change(consumer) } : consumer, options);
    },
  };
}

/** Takes part in event types in another way. */
export function takesPartAs(
  lie: string,
  change: <Tx>(handling: SagaHandling<Tx, unknown, RecordedEvent>) => SagaHandling<Tx, unknown, RecordedEvent>,
): Tooth {
  return followsAs(lie, ({ handling }) => ({
    handling: handling.kind === "free" ? handling : eachHandling(handling, change),
  }));
}

function eachHandling<Tx>(
  { handlings }: Extract<SagaConsumer<Tx>["handling"], { kind: "by-type" }>,
  change: (handling: SagaHandling<Tx, unknown, RecordedEvent>) => SagaHandling<Tx, unknown, RecordedEvent>,
): SagaConsumer<Tx>["handling"] {
  return { kind: "by-type", handlings: new Map([...handlings].map(([type, handling]) => [type, change(handling)])) };
}

/** Calls the handlers of events in another way. */
export function callsHandlers(
  lie: string,
  change: <Tx>(handle: SagaHandler<Tx, unknown, RecordedEvent>) => SagaHandler<Tx, unknown, RecordedEvent>,
): Tooth {
  return takesPartAs(lie, (handling) => ({ ...handling, handle: change(handling.handle) }));
}

/** Gives every handler, of events and of deadlines, another context than it should get. */
export function givesSagaContext(lie: string, change: <Tx>(context: SagaContext<Tx>) => SagaContext<Tx>): Tooth {
  return followsAs(lie, <Tx>({ handling, deadlines }: SagaConsumer<Tx>) => {
    const changed =
      <Event>(handle: SagaHandler<Tx, unknown, Event>): SagaHandler<Tx, unknown, Event> =>
      (event, state, context) =>
        handle(event, state, change(context));
    return {
      handling:
        handling.kind === "free"
          ? handling
          : eachHandling(handling, (part) => ({ ...part, handle: changed(part.handle) })),
      deadlines: new Map([...deadlines].map(([name, handle]) => [name, changed(handle)])),
    };
  });
}

/** Calls the handlers of deadlines in another way. */
export function wakesAs(
  lie: string,
  change: <Tx>(handle: SagaHandler<Tx, unknown, Deadline>) => SagaHandler<Tx, unknown, Deadline>,
): Tooth {
  return followsAs(lie, ({ deadlines }) => ({
    deadlines: new Map([...deadlines].map(([name, handle]) => [name, change(handle)])),
  }));
}

export const keepsDeadlines: Tooth = {
  lie: "keeps the deadlines of a saga that has ended",
  adapter: (real) =>
    override(real, () => ({
      within: (tx) =>
        override(real.within(tx), (port) => ({
          sagas: override(port.sagas, (sagas) => ({
            remove: async (saga, id, version, op) => {
              const kept = await port.deadlines.due(saga, 1_000, op);
              const removed = await sagas.remove(saga, id, version, op);
              for (const deadline of kept) if (deadline.sagaId === id) await port.deadlines.set(saga, deadline, op);
              return removed;
            },
          })),
        })),
    })),
};

export const writesLate: Tooth = {
  lie: "writes a saga in another transaction when its own is over",
  adapter: (real) =>
    changeSagas(real, (port) => ({
      insert: (saga, row, op) =>
        unless("TRANSACTION_ENDED", port.insert(saga, row, op), () =>
          real.transaction((tx) => real.within(tx).sagas.insert(saga, row, op), op),
        ),
    })),
};

export const keepsDeadlinesToItself: Tooth = {
  lie: "keeps deadlines in the memory of its process",
  adapter: (real) => {
    const kept = new Map<string, DeadlineRow>();
    return changeDue(
      real,
      async (_reader, _saga, limit) => [...kept.values()].filter(({ dueAt }) => dueAt <= Date.now()).slice(0, limit),
      () => ({
        set: async (_saga, deadline) => void kept.set(keyOf(deadline), deadline),
        remove: async (_saga, sagaId, name) => kept.delete(keyOf({ sagaId, name })),
      }),
    );
  },
};

/** Takes what is due from a list of its own, by the clock of its process. */
export const trustsItsOwnClock: Tooth = {
  lie: "takes deadlines for due by the clock of its own process",
  adapter: (real) => {
    const known = new Map<string, DeadlineRow>();
    return changeDue(
      real,
      async (_reader, _saga, limit) => [...known.values()].filter(({ dueAt }) => dueAt <= Date.now()).slice(0, limit),
      (port) => ({
        set: async (saga, deadline, op) => {
          known.set(keyOf(deadline), deadline);
          await port.set(saga, deadline, op);
        },
        remove: async (saga, sagaId, name, op) => {
          known.delete(keyOf({ sagaId, name }));
          return port.remove(saga, sagaId, name, op);
        },
      }),
    );
  },
};

function keyOf({ sagaId, name }: Pick<DeadlineRow, "sagaId" | "name">): string {
  return JSON.stringify([sagaId, name]);
}

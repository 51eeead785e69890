import {
  type AnyConsumer,
  consume,
  type ConsumeOptions,
  defineProjector,
  type Observation,
  type Position,
  START,
} from "@tidemark/core";
import type {
  Adapter,
  ConsumerKey,
  LetterPort,
  LetterRecords,
  LetterRow,
  NewLetter,
  Operation,
} from "@tidemark/core/spi";
import { changeLetterRecords, changeLetters } from "../dead-letters.ts";
import { changeRecords } from "../faults.ts";
import { override, type Tooth } from "../law.ts";

/** Broken stores that laws about dead letters are held against. */

/** A store whose letters do something else inside transactions. */
export function letterPort(lie: string, change: (port: LetterPort) => Partial<LetterPort>): Tooth {
  return { lie, adapter: (real) => changeLetters(real, change) };
}

/** A store whose letters show themselves otherwise to operators. */
export function letterRecords(lie: string, change: (records: LetterRecords) => Partial<LetterRecords>): Tooth {
  return { lie, adapter: (real) => changeLetterRecords(real, change) };
}

/** Consumes under another failure policy. */
export function underPolicy(lie: string, change: Partial<DefinedFailure>): Tooth {
  return {
    lie,
    consume: (store, consumer, options) => consume(store, withPolicy(consumer, change), options),
  };
}

type DefinedFailure = Extract<AnyConsumer<unknown>, { readonly failure: unknown }>["failure"];

function withPolicy<Tx>(consumer: AnyConsumer<Tx>, change: Partial<DefinedFailure>): AnyConsumer<Tx> {
  return "kind" in consumer ? { ...consumer, failure: { ...consumer.failure, ...change } } : consumer;
}

export const skipsInstead: Tooth = underPolicy("skips what it should park", { then: "skip" });

export const parksForEveryone: Tooth = {
  lie: "parks also for plain consumers",
  consume: (store, consumer, options) => {
    if ("kind" in consumer) return consume(store, consumer, options);
    return consume(store, defineProjector({ ...consumer, failure: { attempts: 1, then: "park" } }), options);
  },
};

export const parksWithoutEnd: Tooth = underPolicy("parks as many events as there are", {
  maxParked: 1_000_000,
  maxParkedPerSequence: 1_000_000,
});

export const holdsNothingBack: Tooth = letterPort("lets later events of a parked sequence go on", () => ({
  parked: async () => [],
}));

export const overtakes: Tooth = letterPort("retries a letter while an older one of its sequence is parked", (port) => ({
  parked: async (consumer, sequences, before, op) =>
    before === undefined ? port.parked(consumer, sequences, before, op) : [],
}));

export const writesAnew: Tooth = letterPort("makes a new letter each time an event is parked", (port) => ({
  park: async (consumer, letters, op) => {
    for (const { position } of letters) await port.remove(consumer, position, op);
    await port.park(consumer, letters, op);
  },
}));

export const keepsAttempts: Tooth = letterPort("counts no further failures of a letter", (port) => ({
  park: async (consumer, letters, op) => {
    const counted = letters.map(async (letter): Promise<NewLetter> => {
      const known = await port.get(consumer, letter.position, op);
      return known === undefined ? letter : { ...letter, attempts: 0 };
    });
    await port.park(consumer, await Promise.all(counted), op);
  },
}));

export const forgetsWhatFailsAgain: Tooth = letterPort("forgets a letter that fails again", (port) => ({
  park: async (consumer, letters, op) => {
    for (const letter of letters) {
      if ((await port.get(consumer, letter.position, op)) === undefined) await port.park(consumer, [letter], op);
      else await port.remove(consumer, letter.position, op);
    }
  },
}));

export const freesNothing: Tooth = letterPort("leaves parked what waits behind a letter that is gone", () => ({
  requestWaiting: async () => undefined,
}));

export const remembersOneSequence: Tooth = letterPort("remembers only the first sequence of a letter", (port) => ({
  park: (consumer, letters, op) =>
    port.park(
      consumer,
      letters.map((letter) => ({ ...letter, sequences: letter.sequences.slice(0, 1) })),
      op,
    ),
}));

export const keepsSequences: Tooth = letterPort(
  "keeps the sequences that a letter had when it was first parked",
  (port) => ({
    park: async (consumer, letters, op) => {
      for (const letter of letters) {
        const known = await port.get(consumer, letter.position, op);
        await port.park(consumer, [{ ...letter, sequences: known?.sequences ?? letter.sequences }], op);
      }
    },
  }),
);

export const looksForOldSequences: Tooth = letterPort(
  "lets a letter wait behind those of the sequences only that it was parked with",
  (port) => ({
    parked: async (consumer, sequences, before, op) => {
      const own = before === undefined ? undefined : await port.get(consumer, before, op);
      const known = sequences.filter((sequence) => own?.sequences.includes(sequence) ?? true);
      return port.parked(consumer, known, before, op);
    },
  }),
);

export const losesLetters: Tooth = letterPort("goes on when a letter could not be written", (port) => ({
  park: async (consumer, letters, op) => {
    await port.park(consumer, letters, op).catch(() => undefined);
  },
}));

export const tellsNoCause: Tooth = letterPort("does not say why an event was parked", (port) => ({
  park: (consumer, letters, op) =>
    port.park(
      consumer,
      letters.map((letter) => ({ ...letter, cause: undefined })),
      op,
    ),
}));

export const marksAll: Tooth = letterRecords("marks all letters when it is asked for one", (records) => ({
  request: (consumer, _position, request, op) => records.request(consumer, undefined, request, op),
}));

export const newestFirst: Tooth = letterRecords("lists the newest letter first", (records) => ({
  list: async (consumer, query, op) => (await records.list(consumer, query, op)).toReversed(),
}));

export const firstPageOnly: Tooth = letterRecords("lists the first page of letters only", (records) => ({
  list: async (consumer, query, op) => (query.after === START ? records.list(consumer, query, op) : []),
}));

export const ignoresMarks: Tooth = letterRecords(
  "lists all letters where only marked ones are asked for",
  (records) => ({
    list: (consumer, query, op) => records.list(consumer, { ...query, requested: false }, op),
  }),
);

export const ignoresAggregate: Tooth = letterRecords("lists the letters of all aggregates", (records) => ({
  list: (consumer, query, op) => records.list(consumer, { ...query, sequence: undefined }, op),
}));

export const countsTo: (most: number) => Tooth = (most) =>
  letterRecords(`counts to ${most}`, (records) => ({
    count: async (consumer, op) => Math.min(most, await records.count(consumer, op)),
  }));

export const keepsMarks: Tooth = letterRecords("does not take marks back", (records) => ({
  request: async (consumer, position, request, op) =>
    request === undefined ? 0 : records.request(consumer, position, request, op),
}));

export const missesLetters: Tooth = letterRecords(
  "fails when it is asked for a letter that is not there",
  (records) => ({
    request: async (consumer, position, request, op) => {
      const found = await records.request(consumer, position, request, op);
      if (found === 0) throw new Error("There is no such letter.");
      return found;
    },
  }),
);

export const carriesNothingOut: Tooth = letterRecords("never looks for what was asked", (records) => ({
  list: async (consumer, query, op) => (query.requested ? [] : records.list(consumer, query, op)),
}));

export const looksOnce: Tooth = {
  lie: "looks only when a cycle begins for what was asked",
  adapter: (real) => {
    let looked = false;
    return changeRecords(real, (records) => ({
      look: async (consumers, op) => {
        const looks = await records.look(consumers, op);
        if (looked) return looks.map((look) => look && { ...look, requested: [] });
        looked = true;
        return looks;
      },
    }));
  },
};

export const sharesLetters: Tooth = {
  lie: "keeps one set of letters for all versions of a consumer",
  adapter: (real) => {
    const one = ({ name }: ConsumerKey): ConsumerKey => ({ name, version: 1 });
    const listed = changeLetterRecords(real, (records) => ({
      list: (consumer, query, op) => records.list(one(consumer), query, op),
      count: (consumer, op) => records.count(one(consumer), op),
      request: (consumer, position, request, op) => records.request(one(consumer), position, request, op),
    }));
    return changeLetters(listed, (port) => ({
      park: (consumer, letters, op) => port.park(one(consumer), letters, op),
      any: (consumer, op) => port.any(one(consumer), op),
      parked: (consumer, sequences, before, op) => port.parked(one(consumer), sequences, before, op),
    }));
  },
};

type Parked = readonly [consumer: ConsumerKey, letters: readonly NewLetter[], op: Operation];

export const parksAfterwards: Tooth = {
  lie: "commits the checkpoint first and the letter in a transaction after it",
  adapter: <Tx>(real: Adapter<Tx>) =>
    afterwards<Tx, Parked>(
      real,
      (later) => ({ park: async (...call) => later(call) }),
      (port, call) => port.park(...call),
    ),
};

export const removesFirst: Tooth = {
  lie: "takes a letter out of the store before its event is handled",
  adapter: (real) => {
    const taken = new Map<Position, LetterRow>();
    const listed = changeLetterRecords(real, (records) => ({
      list: async (consumer, query, op) => {
        const rows = await records.list(consumer, query, op);
        if (!query.requested) return rows;
        for (const row of rows) {
          taken.set(row.position, row);
          await real.transaction((tx) => real.within(tx).deadLetters.remove(consumer, row.position, op), op);
        }
        return rows;
      },
    }));
    return changeLetters(listed, (port) => ({
      get: async (consumer, position, op) => (await port.get(consumer, position, op)) ?? taken.get(position),
    }));
  },
};

/** Does a call in a transaction of its own, after the one that it was meant for. */
function afterwards<Tx, Call>(
  real: Adapter<Tx>,
  change: (later: (call: Call) => void) => Partial<LetterPort>,
  carryOut: (port: LetterPort, call: Call) => Promise<unknown>,
): Adapter<Tx> {
  const calls = new Map<Tx, Call[]>();
  return override(real, () => ({
    within: (tx) => {
      const later = (call: Call): void => void calls.set(tx, [...(calls.get(tx) ?? []), call]);
      return override(real.within(tx), (port) => ({ deadLetters: override(port.deadLetters, () => change(later)) }));
    },
    transaction: async <T>(work: (tx: Tx) => Promise<T>, op: Operation): Promise<T> => {
      const { value, late } = await real.transaction(async (tx) => {
        calls.delete(tx);
        return { value: await work(tx), late: calls.get(tx) ?? [] };
      }, op);
      for (const call of late) await real.transaction((tx) => carryOut(real.within(tx).deadLetters, call), {});
      return value;
    },
  }));
}

export const keepsLettersOfDeleted: Tooth = {
  lie: "keeps the dead letters of a consumer that was deleted",
  adapter: (real) =>
    changeRecords(real, (records) => ({
      remove: async (consumer, op) => {
        const query = { after: START, limit: 100, requested: false, sequence: undefined };
        const letters = await real.deadLetters.list(consumer, query, op);
        const outcome = await records.remove(consumer, op);
        await real.transaction((tx) => real.within(tx).deadLetters.park(consumer, letters, op), op);
        return outcome;
      },
    })),
};

/** Consumes as with options that are made of the given ones. */
export function consumesOtherwise(lie: string, change: (given: ConsumeOptions) => ConsumeOptions): Tooth {
  return {
    lie,
    consume: (store, consumer, options) => consume(store, consumer, { ...options, ...change({ ...options }) }),
  };
}

/** Tells other things about events than what became of them. */
export function observesAs(lie: string, change: (observation: Observation) => readonly Observation[]): Tooth {
  return consumesOtherwise(lie, ({ observe }) => ({
    observe: (observation) => {
      for (const told of change(observation)) observe?.(told);
    },
  }));
}

export const suffersFromObserve: Tooth = {
  lie: "fails with whoever observes it",
  consume: async (store, consumer, options) => {
    const { observe } = { ...options };
    const told: Observation[] = [];
    const result = await consume(store, consumer, {
      ...options,
      observe: (observation) => void told.push(observation),
    });
    for (const observation of told) observe?.(observation);
    return result;
  },
};

export const failsForGood: Tooth = runsHandlers("takes a transient failure for a lasting one", withoutCause);

function withoutCause<T>(run: () => T): Promise<Awaited<T>> {
  const running = (async (): Promise<Awaited<T>> => await run())();
  return running.catch((error: unknown) => Promise.reject(new Error(`no luck: ${String(error)}`)));
}

/** Runs handlers of all kinds in another way. */
function runsHandlers(lie: string, through: <T>(run: () => T) => Promise<Awaited<T>>): Tooth {
  function changed<Tx>(consumer: AnyConsumer<Tx>): AnyConsumer<Tx> {
    if (!("kind" in consumer)) return consumer;
    switch (consumer.kind) {
      case "observer": {
        const handle: typeof consumer.handle = (event, context) => through(() => consumer.handle(event, context));
        return { ...consumer, handle };
      }
      case "projector": {
        const { handler } = consumer;
        if (handler.kind === "batch") {
          const handle: typeof handler.handle = (events, context) => through(() => handler.handle(events, context));
          return { ...consumer, handler: { kind: "batch", handle } };
        }
        const handle: typeof handler.handle = (event, context) => through(() => handler.handle(event, context));
        return { ...consumer, handler: { kind: "each", handle } };
      }
      case "saga": {
        const { handling } = consumer;
        if (handling.kind === "free") return consumer;
        const handlings = [...handling.handlings].map(([type, part]) => {
          const handle: typeof part.handle = (event, state, context) =>
            through(() => part.handle(event, state, context));
          return [type, { ...part, handle }] as const;
        });
        return { ...consumer, handling: { kind: "by-type", handlings: new Map(handlings) } };
      }
    }
  }
  return { lie, consume: (store, consumer, options) => consume(store, changed(consumer), options) };
}

import { isTidemarkError, TidemarkError } from "@tidemark/core";
import { abortable, type Adapter } from "@tidemark/core/spi";
import { endWhatWasLent } from "../borrowing.ts";
import { changeZones } from "../faults.ts";
import { override, type Tooth } from "../law.ts";

/** Broken ways of dealing with a server, its connections and what they belong to. */

type Around = <T>(call: () => Promise<T>) => Promise<T>;

/** `target` with `around` around each of its calls that is answered later, also those of what it hands out. */
function interposed<T extends object>(target: T, around: Around): T {
  return new Proxy(target, {
    get: (real, name) => {
      const member: unknown = Reflect.get(real, name, real);
      if (typeof member === "function") {
        return (...args: readonly unknown[]) => {
          const result: unknown = Reflect.apply(member, real, args);
          if (result instanceof Promise) return around(() => result);
          return isPort(result) ? interposed(result, around) : result;
        };
      }
      return isPort(member) && !Object.isFrozen(member) ? interposed(member, around) : member;
    },
  });
}

function isPort(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

export const takesOutagesForBugs: Tooth = {
  lie: "lets through what the driver says of a lost connection",
  adapter: (real) =>
    interposed(real, (call) =>
      call().catch((error: unknown) => {
        throw isTidemarkError(error, "UNAVAILABLE") ? new Error("read ECONNRESET") : error;
      }),
    ),
};

export const neverComesBack: Tooth = {
  lie: "keeps using a connection that was lost",
  adapter: (real) => {
    let lost: Error | undefined;
    return interposed(real, async (call) => {
      const result = call();
      if (lost !== undefined) {
        await result.catch(() => undefined);
        throw lost;
      }
      return result.catch((error: unknown) => {
        if (isTidemarkError(error, "UNAVAILABLE")) lost ??= error;
        throw error;
      });
    });
  },
};

export const waitsOutOutages: Tooth = {
  lie: "leaves calls that cannot be carried out without an answer",
  adapter: (real) =>
    interposed(real, (call) =>
      call().catch((error: unknown) => {
        if (isTidemarkError(error, "UNAVAILABLE")) return new Promise<never>(() => undefined);
        throw error;
      }),
    ),
};

export const givesZonesUp: Tooth = {
  lie: "takes a renewal that is not answered for the loss of the zone",
  adapter: (real) => changeZones(real, (zones) => ({ renew: (...args) => zones.renew(...args).catch(() => false) })),
};

export const believesInZones: Tooth = {
  lie: "takes a renewal that is not answered for a success",
  adapter: (real) => changeZones(real, (zones) => ({ renew: (...args) => zones.renew(...args).catch(() => true) })),
};

function changeTransactions<Tx>(real: Adapter<Tx>, transaction: Adapter<Tx>["transaction"]): Adapter<Tx> {
  return override(real, () => ({ transaction }));
}

export const waitsInSpiteOfSignals: Tooth = {
  lie: "waits for a connection whatever the signal says",
  adapter: (real) => changeTransactions(real, (work) => real.transaction(work, {})),
};

export const waitsForConnectionsForEver: Tooth = {
  lie: "waits for a connection for ever",
  adapter: (real) =>
    interposed(real, (call) =>
      call().catch((error: unknown) => {
        if (isTidemarkError(error, "BUSY")) return new Promise<never>(() => undefined);
        throw error;
      }),
    ),
};

/** Connections of a pool that a law takes all of. */
export const FEW = 2;

export const refusesWhenAllAreTaken: Tooth = {
  lie: "refuses at once when no connection is free",
  adapter: (real) => {
    let open = 0;
    return changeTransactions(real, async (work, op) => {
      if (open === FEW) throw new TidemarkError("BUSY", "No connection is free.", { adapter: real.name, waitedMs: 0 });
      open += 1;
      try {
        return await real.transaction(work, op);
      } finally {
        open -= 1;
      }
    });
  },
};

export const forgetsGivenUpAppends: Tooth = {
  lie: "says that an append was given up while its connection still waits",
  adapter: (real) => {
    const taken = new Set<Promise<unknown>>();
    const onConnection: Around = async (call) => {
      while (taken.size >= FEW) await Promise.race(taken);
      const result = call();
      const free = result.then(
        () => undefined,
        () => undefined,
      );
      taken.add(free);
      void free.then(() => taken.delete(free));
      return result;
    };
    return override(interposed(real, onConnection), () => ({
      appendBatch: (units, { signal, ...op }) =>
        abortable(
          onConnection(() => real.appendBatch(units, op)),
          signal,
        ),
    }));
  },
};

export const leaksConnections: Tooth = {
  lie: "never gives back a connection that came too late for its caller",
  adapter: (real) =>
    changeTransactions(real, (work, op) => {
      const running = real.transaction(work, op);
      running.catch((error: unknown) => {
        if (!isTidemarkError(error, "ABORTED")) return;
        void real.transaction(() => new Promise(() => undefined), {}).catch(() => undefined);
      });
      return running;
    }),
};

export const closesWhatItWasLent: Tooth = {
  lie: "closes what it was lent",
  adapter: (real) =>
    override(real, () => ({
      close: async () => {
        await real.close();
        await endWhatWasLent(real);
      },
    })),
};

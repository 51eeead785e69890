import { isTidemarkError, type Store, START, type Zone } from "@tidemark/core";
import type { Adapter, ConsumerKey, ConsumerRow, Fence, Operation, SegmentKey, SegmentRow } from "@tidemark/core/spi";
import { changeFence, changeRecords, changeZones } from "../faults.ts";
import { override, type Tooth } from "../law.ts";

/** Broken stores that laws about zones, checkpoints and consuming are held against. */

export const letsEveryoneIn: Tooth = {
  lie: "lets everyone in while somebody holds the zone",
  adapter: (real) =>
    changeZones(real, (zones) => ({
      enter: async (key, lease, op) => {
        const entry = await zones.enter(key, lease, op);
        return entry.kind === "busy" ? ((await joinHolder(real, key)) ?? entry) : entry;
      },
    })),
};

export const letsItsOwnerInAgain: Tooth = {
  lie: "lets the owner of a zone enter it a second time",
  adapter: (real) => {
    const owners = new Set<string>();
    return changeZones(real, (zones) => ({
      enter: async (key, lease, op) => {
        const entry = await zones.enter(key, lease, op);
        if (entry.kind === "entered") owners.add(lease.owner);
        return entry.kind === "busy" && owners.has(lease.owner) ? ((await joinHolder(real, key)) ?? entry) : entry;
      },
    }));
  },
};

/** As if one lock stood for all keys that `alike` maps to the same text. */
export function sharesLocks(lie: string, alike: (key: SegmentKey) => string): Tooth {
  return {
    lie,
    adapter: (real) => {
      const taken = new Set<string>();
      return changeZones(real, (zones) => ({
        enter: async (key, lease, op) => {
          if (taken.has(alike(key))) return { kind: "busy" };
          taken.add(alike(key));
          return zones.enter(key, lease, op);
        },
      }));
    },
  };
}

export const leavesForAnyone: Tooth = {
  lie: "ends the lease whoever asks",
  adapter: (real) =>
    changeZones(real, (zones) => ({
      leave: async (key, token, op) => zones.leave(key, (await segmentOf(real, key))?.token ?? token, op),
    })),
};

export const neverLeaves: Tooth = {
  lie: "keeps a zone that was left",
  adapter: (real) => changeZones(real, () => ({ leave: async () => undefined })),
};

export const keepsExpiredZones: Tooth = {
  lie: "keeps a zone taken after its lease ran out",
  adapter: (real) =>
    changeZones(real, (zones) => ({
      enter: async (key, lease, op) => {
        const stored = await segmentOf(real, key);
        return stored?.owner === undefined ? zones.enter(key, lease, op) : { kind: "busy" };
      },
    })),
};

export const repeatsTokens: Tooth = {
  lie: "gives every entry the same token",
  adapter: (real) =>
    changeZones(real, (zones) => ({
      enter: async (key, lease, op) => {
        const entry = await zones.enter(key, lease, op);
        return entry.kind === "entered" ? { ...entry, token: 1n } : entry;
      },
    })),
};

export const trustsProcessClock: Tooth = {
  lie: "takes a lease for over by the clock of its own process",
  adapter: (real) => {
    const expiries = new Map<string, number>();
    return changeZones(real, (zones) => ({
      enter: async (key, lease, op) => {
        if (Date.now() < (expiries.get(label(key)) ?? 0)) return { kind: "busy" };
        const entry = await zones.enter(key, lease, op);
        if (entry.kind === "entered") expiries.set(label(key), Date.now() + lease.ms);
        return entry.kind === "busy" && expiries.has(label(key)) ? ((await joinHolder(real, key)) ?? entry) : entry;
      },
    }));
  },
};

export const renewsNothing: Tooth = {
  lie: "says that it has renewed a lease and has not",
  adapter: (real) => changeZones(real, () => ({ renew: async () => true })),
};

export const forgetsRenewals: Tooth = {
  lie: "takes a lease for lost after its first term, renewed or not",
  adapter: (real) => {
    const ends = new Map<bigint, number>();
    const counting = changeZones(real, (zones) => ({
      enter: async (key, lease, op) => {
        const entry = await zones.enter(key, lease, op);
        if (entry.kind === "entered") ends.set(entry.token, performance.now() + lease.ms);
        return entry;
      },
    }));
    return changeFence(counting, async (port, fence, op) => {
      return performance.now() <= (ends.get(fence.token) ?? 0) && (await port.fence(fence, op));
    });
  },
};

export const waitsForZones: Tooth = {
  lie: "waits until the zone is free",
  adapter: (real) =>
    changeZones(real, (zones) => ({
      enter: async (key, lease, op) => {
        for (;;) {
          const entry = await zones.enter(key, lease, op);
          if (entry.kind !== "busy") return entry;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      },
    })),
};

export const pinsConnections: Tooth = {
  lie: "keeps one of its ten connections for each zone that is held",
  adapter: (real) => {
    let left = 10;
    const whileOneIsLeft = async <T>(call: () => Promise<T>): Promise<T> => {
      while (left <= 0) await new Promise((resolve) => setTimeout(resolve, 5));
      return call();
    };
    const pinning = changeZones(real, (zones) => ({
      enter: (key, lease, op) =>
        whileOneIsLeft(async () => {
          const entry = await zones.enter(key, lease, op);
          if (entry.kind === "entered") left -= 1;
          return entry;
        }),
      leave: async (key, token, op) => {
        await zones.leave(key, token, op);
        left += 1;
      },
    }));
    return override(pinning, () => ({ readAll: (query, op) => whileOneIsLeft(() => real.readAll(query, op)) }));
  },
};

export const ignoresToken: Tooth = {
  lie: "commits for whoever asks, whatever its token",
  adapter: (real) =>
    changeFence(real, async (port, fence, op) => {
      const stored = await port.segment(fence.key, op);
      return port.fence({ ...fence, token: stored?.token ?? fence.token }, op);
    }),
};

export const ignoresPosition: Tooth = {
  lie: "moves the checkpoint from wherever it is",
  adapter: (real) =>
    changeFence(real, async (port, fence, op) => {
      const stored = await port.segment(fence.key, op);
      return port.fence({ ...fence, from: stored?.position ?? fence.from }, op);
    }),
};

export const fencesNothing: Tooth = {
  lie: "commits the effects and leaves out the fence",
  adapter: (real) => changeFence(real, async () => true),
};

export const commitsWhatFailed: Tooth = {
  lie: "commits what was done before the failure",
  adapter: commitFailures,
};

function commitFailures<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  return override(real, () => ({
    transaction: async <T>(work: (tx: Tx) => Promise<T>, op: Operation): Promise<T> => {
      const outcomes = await real.transaction((tx) => Promise.allSettled([work(tx)]), op);
      const [outcome] = outcomes;
      if (outcome.status === "rejected") throw outcome.reason;
      return outcome.value;
    },
  }));
}

export const checkpointsAfterwards: Tooth = {
  lie: "commits the effects first and the checkpoint in a transaction after them",
  adapter: fenceAfterwards,
};

function fenceAfterwards<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  const fences = new Map<Tx, Fence>();
  return override(real, () => ({
    within: (tx) =>
      override(real.within(tx), () => ({
        fence: async (fence) => {
          fences.set(tx, fence);
          return true;
        },
      })),
    transaction: async <T>(work: (tx: Tx) => Promise<T>, op: Operation): Promise<T> => {
      const { value, fence } = await real.transaction(
        async (tx) => ({ value: await work(tx), fence: fences.get(tx) }),
        op,
      );
      if (fence !== undefined) await real.transaction((tx) => real.within(tx).fence(fence, op), op);
      return value;
    },
  }));
}

export const entersAtTheBeginning: Tooth = {
  lie: "hands a zone over without its checkpoint",
  adapter: (real) =>
    changeZones(real, (zones) => ({
      enter: async (key, lease, op) => {
        const entry = await zones.enter(key, lease, op);
        return entry.kind === "entered" ? { ...entry, position: START } : entry;
      },
    })),
};

/** A store that shows other rows than those that are stored. */
export function showsRows(lie: string, change: (row: ConsumerRow) => ConsumerRow): Tooth {
  return {
    lie,
    adapter: (real) =>
      changeRecords(real, (records) => ({
        get: async (key, op) => {
          const row = await records.get(key, op);
          return row === undefined ? undefined : change(row);
        },
        list: async (after, limit, op) => (await records.list(after, limit, op)).map(change),
        look: async (looked, op) =>
          (await records.look(looked, op)).map((look) => look && { ...look, row: change(look.row) }),
        declare: async (declaration, op) => change(await records.declare(declaration, op)),
      })),
  };
}

/** As {@link showsRows}, for every segment of a row. */
export function showsSegments(lie: string, change: (segment: SegmentRow) => SegmentRow): Tooth {
  return showsRows(lie, (row) => ({ ...row, segments: row.segments.map(change) }));
}

/** A store that takes one consumer for another, everywhere. */
export function confuses(lie: string, rename: (name: string) => string): Tooth {
  const renamed = <Key extends ConsumerKey>(key: Key): Key => ({ ...key, name: rename(key.name) });
  return {
    lie,
    adapter: (real) => {
      const zoned = changeZones(real, (zones) => ({
        enter: (key, lease, op) => zones.enter(renamed(key), lease, op),
        renew: (key, token, leaseMs, op) => zones.renew(renamed(key), token, leaseMs, op),
        leave: (key, token, op) => zones.leave(renamed(key), token, op),
      }));
      const recorded = changeRecords(zoned, (records) => ({
        declare: (declaration, op) => records.declare({ ...declaration, key: renamed(declaration.key) }, op),
        get: (key, op) => records.get(renamed(key), op),
        look: (looked, op) =>
          records.look(
            looked.map((about) => ({ ...about, key: renamed(about.key) })),
            op,
          ),
        setEnabled: (key, enabled, op) => records.setEnabled(renamed(key), enabled, op),
        recordError: (key, text, op) => records.recordError(renamed(key), text, op),
        remove: (key, op) => records.remove(renamed(key), op),
      }));
      return changeFence(recorded, (port, fence, op) => port.fence({ ...fence, key: renamed(fence.key) }, op));
    },
  };
}

/** A store whose zones differ from the real ones. */
export function handsOut(lie: string, change: <Tx>(zone: Zone<Tx>) => Partial<Zone<Tx>>): Tooth {
  return {
    lie,
    store: <Tx>(real: Store<Tx>) =>
      override(real, () => ({
        enterZone: async (consumer, options) => {
          const zone = await real.enterZone(consumer, options);
          return zone === undefined ? undefined : override<Zone<Tx>>(zone, change);
        },
      })),
  };
}

/** A store whose records of consumers differ from the real ones. */
export function operates(
  lie: string,
  change: (real: Store<unknown>["consumers"]) => Partial<Store<unknown>["consumers"]>,
): Tooth {
  return { lie, store: (real) => override(real, () => ({ consumers: override(real.consumers, change) })) };
}

/** A store that does `instead` where the real one refuses with `code`. */
export async function unless<T>(
  code: Parameters<typeof isTidemarkError>[1],
  call: Promise<T>,
  instead: () => Promise<T>,
): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!isTidemarkError(error, code)) throw error;
    return instead();
  }
}

async function joinHolder<Tx>(
  real: Adapter<Tx>,
  key: SegmentKey,
): Promise<
  | { readonly kind: "entered"; readonly token: bigint; readonly position: NonNullable<SegmentRow["position"]> }
  | undefined
> {
  const stored = await segmentOf(real, key);
  return stored?.position === undefined
    ? undefined
    : { kind: "entered", token: stored.token, position: stored.position };
}

async function segmentOf<Tx>(real: Adapter<Tx>, key: SegmentKey): Promise<SegmentRow | undefined> {
  const row = await real.consumers.get(key, {});
  return row?.segments.find((candidate) => candidate.segment === key.segment);
}

function label(key: SegmentKey): string {
  return `${key.name}\0${key.version}\0${key.segment}`;
}

import {
  consume,
  type Consumers,
  type ConsumeOptions,
  type ConsumeResult,
  type Handler,
  type TransactionalContext,
  isTidemarkError,
  type Projector,
  type RecordedEvent,
  START,
  type Store,
  type Zone,
} from "@tidemark/core";
import type { Adapter, Operation } from "@tidemark/core/spi";
import { changeFence } from "../faults.ts";
import { override, type Tooth } from "../law.ts";
import { unless } from "./zones.ts";

/** Broken ways of consuming: core's `consume` with one behaviour changed. */

/** Consumes projectors in another way; other consumers as core does. */
function consumesProjectors(
  lie: string,
  how: <Tx>(store: Store<Tx>, projector: Projector<Tx>, options: ConsumeOptions | undefined) => Promise<ConsumeResult>,
): Tooth {
  return {
    lie,
    consume: (store, consumer, options) =>
      "kind" in consumer && consumer.kind === "projector"
        ? how(store, consumer, options)
        : consume(store, consumer, options),
  };
}

/** Consumes by another projector than the given one. */
export function consumesAs(lie: string, change: <Tx>(projector: Projector<Tx>) => Partial<Projector<Tx>>): Tooth {
  return consumesProjectors(lie, (store, projector, options) =>
    consume(store, { ...projector, ...change(projector) }, options),
  );
}

/** Consumes with other options than the given ones. */
export function consumesWith(lie: string, change: ConsumeOptions): Tooth {
  return { lie, consume: (store, projector, options) => consume(store, projector, { ...options, ...change }) };
}

export const forgetsFailures: Tooth = {
  lie: "takes a lasting failure for the end of the log",
  consume: (store, projector, options) =>
    consume(store, projector, options).catch(() => ({ kind: "caught-up", handled: 0, position: START })),
};

/** Gives handlers another context than they should get. */
export function givesContext(
  lie: string,
  change: <Tx>(given: {
    readonly context: TransactionalContext<Tx>;
    readonly store: Store<Tx>;
  }) => TransactionalContext<Tx>,
): Tooth {
  return consumesProjectors(lie, (store, projector, options) => {
    const { handler } = projector;
    if (handler.kind === "batch") return consume(store, projector, options);
    const handle: typeof handler.handle = (event, context) => handler.handle(event, change({ context, store }));
    return consume(store, { ...projector, handler: { kind: "each", handle } }, options);
  });
}

/** Calls handlers in another way. */
export function handlesAs(
  lie: string,
  change: <Tx>(
    handle: Handler<TransactionalContext<Tx>, RecordedEvent>,
  ) => Handler<TransactionalContext<Tx>, RecordedEvent>,
): Tooth {
  return consumesAs(lie, ({ handler }) => ({
    handler: handler.kind === "batch" ? handler : { kind: "each", handle: change(handler.handle) },
  }));
}

/** Commits in another way. */
export function commitsAs(lie: string, change: <Tx>(zone: Zone<Tx>, options: Operation) => Partial<Zone<Tx>>): Tooth {
  return {
    lie,
    consume: (store, projector, options) =>
      consume(
        zonesOf(store, (zone) => change(zone, { ...options })),
        projector,
        options,
      ),
  };
}

/** A store with some calls of its zones changed. */
export function zonesOf<Tx>(store: Store<Tx>, change: (zone: Zone<Tx>) => Partial<Zone<Tx>>): Store<Tx> {
  return override(store, (real) => ({
    enterZone: async (consumer, options) => {
      const zone = await real.enterZone(consumer, options);
      return zone === undefined ? undefined : override(zone, change);
    },
  }));
}

export const handlesTwice: Tooth = handlesAs("hands each event over twice", (handle) => async (event, context) => {
  await handle(event, context);
  await handle(event, context);
});

/** Takes what `isMeant` for transient, or for final. */
export function misjudges(lie: string, instead: (error: unknown) => unknown): Tooth {
  return handlesAs(lie, (handle) => async (event, context) => {
    try {
      await handle(event, context);
    } catch (error) {
      throw instead(error);
    }
  });
}

/** Consumers that look enabled, whatever was said to them. */
export function alwaysEnabled(real: Consumers): Partial<Consumers> {
  return { look: async (...args) => (await real.look(...args)).map((sight) => sight && { ...sight, enabled: true }) };
}

export const ignoresFlag: Tooth = {
  lie: "takes every consumer for enabled",
  consume: (store, projector, options) => {
    const enabled = override(store, (real) => ({
      consumers: override(real.consumers, alwaysEnabled),
    }));
    return consume(
      zonesOf(enabled, () => ({ enabled: true })),
      projector,
      options,
    );
  },
};

export const forgivesEnding: Tooth = {
  lie: "takes a transaction that its work has ended for one that it has committed itself",
  adapter: forgiveEnding,
};

function forgiveEnding<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  const lenient = changeFence(real, (port, fence, op) =>
    unless("TRANSACTION_ENDED", port.fence(fence, op), async () => true),
  );
  return override(lenient, () => ({
    transaction: async <T>(work: (tx: Tx) => Promise<T>, op: Operation): Promise<T> => {
      const done: { readonly value: T }[] = [];
      const keeping = async (tx: Tx): Promise<T> => {
        const value = await work(tx);
        done.push({ value });
        return value;
      };
      try {
        return await real.transaction(keeping, op);
      } catch (error) {
        const [result] = done;
        if (result === undefined || !isTidemarkError(error, "TRANSACTION_ENDED")) throw error;
        return result.value;
      }
    },
  }));
}

export const lingers: Tooth = {
  lie: "says that it has committed while the transaction is still open",
  adapter: linger,
};

function linger<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  return override(real, () => ({
    transaction: <T>(work: (tx: Tx) => Promise<T>, op: Operation): Promise<T> =>
      new Promise((resolve, reject) => {
        const lingering = async (tx: Tx): Promise<void> => {
          resolve(await work(tx));
          await new Promise((later) => setTimeout(later, 50));
        };
        real.transaction(lingering, op).catch(reject);
      }),
  }));
}

export const takesItsTime: Tooth = {
  lie: "lets a transaction go on after its time",
  adapter: (real) =>
    override(
      changeFence(real, (port, fence) => port.fence(fence, {})),
      () => ({ transaction: (work) => real.transaction(work, {}) }),
    ),
};

/** A store whose reads return the same objects again and again. */
export const sharesEvents: Tooth = {
  lie: "hands the same event object to everyone",
  store: (real) => {
    const known = new Map<bigint, RecordedEvent>();
    return override(real, () => ({
      readAll: async (options) => {
        const page = await real.readAll(options);
        const events = page.events.map((event) => known.get(event.position) ?? event);
        for (const event of events) known.set(event.position, event);
        return { ...page, events };
      },
    }));
  },
};

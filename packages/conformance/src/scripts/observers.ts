import type { Position } from "@tidemark/core";
import { vanishing } from "../faults.ts";
import { type ClaimStep, crashingAtClaim, observer, telling } from "../observers.ts";
import { argsOf, consumeOn, type Script } from "../script.ts";

/** The other database that has the events, if it is another one. */
interface Elsewhere {
  readonly config?: unknown;
}

export const observerScripts: Readonly<Record<string, Script>> = {
  /**
   * Observes, and says what is recorded. The handlers of the amounts in `held` never end. Its renewal notices nothing: on a
   * busy machine the short lease runs out before the handlers have begun.
   */
  "observers/hang": async ({ open, consume, say, hear }, args) => {
    const { held, config } = argsOf<Elsewhere & { readonly held: readonly number[] }>(args);
    const tell = (positions: readonly Position[]): void => say("recorded", positions.map(String));
    const store = await open({}, (real) => telling(vanishing(real), tell));
    const log = config === undefined ? store : await open({}, undefined, config);
    const handle = async ({ data }: { readonly data: { readonly amount: number } }): Promise<void> => {
      if (held.includes(data.amount)) await hear("never");
    };
    await consume(store, observer(handle), { log, leaseMs: 300 });
  },

  /** Observes one event after the other with claims, and is killed on the way of the second. */
  "observers/claim-and-die": async ({ open, consume, die }, args) => {
    const { step, config } = argsOf<Elsewhere & { readonly step: ClaimStep }>(args);
    const store = await open({}, (real) => crashingAtClaim(real, step, die));
    const log = config === undefined ? store : await open({}, undefined, config);
    const claiming = observer(() => undefined, { name: step, dedupe: "claim", claimMs: 100, concurrency: 1 });
    return consumeOn(() => consume(store, claiming, { log, leaseMs: 300 }));
  },
};

import { type TransactionalContext, parsePosition } from "@tidemark/core";
import { ORDERS } from "../consumers.ts";
import { turn } from "../expect.ts";
import { type CrashStep, crashingAt } from "../faults.ts";
import { apply, applyFor, type Deposit, isAmount, projector } from "../projectors.ts";
import { argsOf, consumeOn, type Script } from "../script.ts";

/** The other database that has the events, if it is another one. */
interface Elsewhere {
  readonly config?: unknown;
}

export const consumingScripts: Readonly<Record<string, Script>> = {
  /** Consumes in batches of two, and is killed on the way of its second batch. */
  "consuming/die": async ({ open, consume, die }, args) => {
    const { step, config } = argsOf<Elsewhere & { readonly step: CrashStep }>(args);
    let armed = false;
    const crash = (): void => {
      if (armed) die();
    };
    const store = await open({}, (real) => crashingAt(real, step, crash));
    const log = config === undefined ? store : await open({}, undefined, config);
    const handle = async (event: Deposit, context: TransactionalContext<unknown>): Promise<void> => {
      armed ||= isAmount(event, 4);
      if (step === "before-handler") crash();
      await applyFor(step)(event, context);
      if (step === "after-effect") crash();
    };
    return consumeOn(() => consume(store, projector(handle, { name: step }), { log, fetchSize: 2, leaseMs: 300 }));
  },

  /** Consumes a little at a time, so that others have their turn, until everything up to a position is handled. */
  "consuming/share": async ({ open, consume, say, hear }, args) => {
    const { config, until } = argsOf<Elsewhere & { readonly until: string }>(args);
    const store = await open();
    const log = config === undefined ? store : await open({}, undefined, config);
    say("ready");
    await hear("go");
    for (let cycles = 0; cycles < MAX_CYCLES;) {
      const position = await store.consumers.checkpoint(ORDERS);
      if (position !== undefined && position >= parsePosition(until)) return;
      const { kind } = await consume(store, projector(apply), { log, fetchSize: 2, maxEvents: 3 });
      if (kind !== "busy") cycles += 1;
      await turn(1);
    }
  },
};

/** A broken store never gets there. */
const MAX_CYCLES = 40;

import { isTidemarkError, parsePosition } from "@tidemark/core";
import { enter, ORDERS } from "../consumers.ts";
import { account } from "../events.ts";
import { outcome } from "../expect.ts";
import { type CrashStep, crashingAt, unaware } from "../faults.ts";
import { argsOf, type Script } from "../script.ts";

export const zoneScripts: Readonly<Record<string, Script>> = {
  /** Enters together with other processes, and holds on. */
  "zones/contend": async ({ open, say, hear }) => {
    const store = await open();
    say("ready");
    await hear("go");
    say("entered", (await store.enterZone(ORDERS)) !== undefined);
    await hear("the end");
  },

  /** Enters, and commits when told. Its renewal notices nothing, so that only the fence stands in the way. */
  "zones/commit-when-told": async ({ open, say, hear, database }, args) => {
    const { leaseMs, to } = argsOf<{ readonly leaseMs: number; readonly to: string }>(args);
    const store = await open({}, unaware);
    const zone = await enter(store, ORDERS, { leaseMs });
    say("entered");
    await hear("commit");
    const error = await outcome(
      zone.commit(async ({ tx, append }) => {
        append({ aggregate: account("event of the old holder"), events: [{ type: "written", data: null }] });
        await database.effects.write(tx, "effect of the old holder", "written");
        return parsePosition(to);
      }),
    );
    return isTidemarkError(error) ? error.code : String(error);
  },

  /**
   * Commits once, and is killed inside its second transaction. Its renewal notices nothing: on a busy machine the short
   * lease runs out before that.
   */
  "zones/die-in-second-commit": async ({ open, die, database }, args) => {
    const { leaseMs, steps } = argsOf<{ readonly leaseMs: number; readonly steps: readonly string[] }>(args);
    const zone = await enter(await open({}, unaware), ORDERS, { leaseMs });
    for (const [index, step] of steps.entries()) {
      await zone.commit(async ({ tx }) => {
        if (index === 0) return parsePosition(step);
        await database.effects.write(tx, "effect of the old holder", "written");
        return die();
      });
    }
  },

  /** Commits once, and is killed on the way. */
  "checkpoints/commit-and-die": async ({ open, die, database }, args) => {
    const { step, to } = argsOf<{ readonly step: CrashStep; readonly to: string }>(args);
    const zone = await enter(await open({}, (real) => crashingAt(real, step, die)), step, { leaseMs: 1 });
    await zone.commit(async ({ tx, append }) => {
      if (step === "before-handler") die();
      append({ aggregate: account(step), events: [{ type: "applied", data: null }] });
      await database.effects.write(tx, step, "yes");
      if (step === "after-effect") die();
      return parsePosition(to);
    });
  },
};

import { START } from "@tidemark/core";
import type { Adapter, Promotion } from "@tidemark/core/spi";
import { changeRecords } from "../faults.ts";
import type { Tooth } from "../law.ts";

/** Broken stores that laws about versions are held against. */

/** Promotes, or has something else done about the outcome of a promotion. */
function promotes(
  lie: string,
  after: <Tx>(
    outcome: Promotion,
    real: Adapter<Tx>,
    versions: { readonly name: string; readonly from: number; readonly to: number },
  ) => Promise<Promotion>,
): Tooth {
  return {
    lie,
    adapter: (real) =>
      changeRecords(real, (records) => ({
        promote: async (name, from, to, op) =>
          after(await records.promote(name, from, to, op), real, { name, from, to }),
      })),
  };
}

export const promotesNothing: Tooth = {
  lie: "says that it has promoted a version and has not",
  adapter: (real) => changeRecords(real, () => ({ promote: async () => "done" })),
};

export function saysDoneTo(refusal: Promotion, lie: string): Tooth {
  return promotes(lie, async (outcome) => (outcome === refusal ? "done" : outcome));
}

export const promotesFromTheBeginning: Tooth = promotes(
  "has the promoted version begin anew",
  async (outcome, real, { name, to }) => {
    if (outcome === "done") await real.consumers.reset({ name, version: to }, START, {});
    return outcome;
  },
);

export const movesTheNewOne: Tooth = promotes(
  "moves the new version to where the old one stands",
  async (outcome, real, { name, from, to }) => {
    if (outcome !== "positions") return outcome;
    const old = await real.consumers.get({ name, version: from }, {});
    await real.consumers.reset({ name, version: to }, old?.segments[0]?.position ?? START, {});
    return real.consumers.promote(name, from, to, {});
  },
);

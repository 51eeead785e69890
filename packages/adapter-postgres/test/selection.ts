import { type Law, laws, lawsOf } from "@tidemark/conformance";

const every = process.env["TIDEMARK_EVERY_SUBJECT"];

/** Left to the default settings. */
const SLOWEST = ["order/no-skip/many-appends-one-transaction", "actors/ancestor/deep"];

/** What the ordering has a hand in. */
const ofOrdering = ["append", "order", "read"];

function quickOf(...groups: readonly string[]): readonly Law[] {
  return lawsOf(...groups).filter(({ id }) => !SLOWEST.includes(id));
}

/**
 * In other settings and on other versions of the server, where every subject is wanted. The laws of consumers take long,
 * and are core's above all.
 */
export const onOthers: readonly Law[] =
  every === "all" ? laws : quickOf(...ofOrdering, "zones", "claims", "actors", "identities", "lifetime");

/** With positions from the counter. */
export const onCounter: readonly Law[] = every === undefined ? quickOf(...ofOrdering) : onOthers;

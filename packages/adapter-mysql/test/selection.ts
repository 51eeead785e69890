import { type Law, laws, lawsOf } from "@tidemark/conformance";

const every = process.env["TIDEMARK_EVERY_SUBJECT"];

/** What the database has most of a hand in: locks, positions, clocks. */
const ofLocks = lawsOf("append", "order", "zones", "claims", "actors", "identities");

/** In the default settings: all of them on both servers where every subject is wanted. */
export const onDefaults: readonly Law[] = every === undefined ? ofLocks : laws;

const SLOWEST = ["order/no-skip/many-appends-one-transaction", "actors/ancestor/deep"];

/**
 * In other settings and on other versions of the servers. The laws of consumers take long, and are core's above all; the
 * slowest of the others are left to the default settings as well.
 */
export const onOthers: readonly Law[] =
  every === "all" ? laws : [...ofLocks, ...lawsOf("read", "lifetime")].filter(({ id }) => !SLOWEST.includes(id));

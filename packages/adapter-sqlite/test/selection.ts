import { type Law, laws, lawsOf } from "@tidemark/conformance";

/**
 * With a file, in other settings, where every subject is wanted. The laws of consumers take long, and are core's above all.
 */
export const onOthers: readonly Law[] =
  process.env["TIDEMARK_EVERY_SUBJECT"] === "all"
    ? laws
    : lawsOf("append", "order", "read", "zones", "claims", "actors", "identities", "lifetime");

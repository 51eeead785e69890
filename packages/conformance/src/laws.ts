import type { Law } from "./law.ts";
import { appendLaws } from "./laws/append.ts";
import { checkpointLaws } from "./laws/checkpoints.ts";
import { consumingLaws } from "./laws/consuming.ts";
import { lifetimeLaws } from "./laws/lifetime.ts";
import { orderLaws } from "./laws/order.ts";
import { readLaws } from "./laws/read.ts";
import { valueLaws } from "./laws/values.ts";
import { zoneLaws } from "./laws/zones.ts";

/** Every promise of Tidemark, in the order in which they are best read. */
export const laws: readonly Law[] = Object.freeze([
  ...appendLaws,
  ...valueLaws,
  ...readLaws,
  ...orderLaws,
  ...zoneLaws,
  ...checkpointLaws,
  ...consumingLaws,
  ...lifetimeLaws,
]);

import { appendScripts } from "./scripts/append.ts";
import { consumingScripts } from "./scripts/consuming.ts";
import { lifetimeScripts } from "./scripts/lifetime.ts";
import { orderScripts } from "./scripts/order.ts";
import { readScripts } from "./scripts/read.ts";
import { zoneScripts } from "./scripts/zones.ts";
import type { Script } from "./script.ts";

/** Every script that a law spawns, by name. */
export const scripts: Readonly<Record<string, Script>> = {
  ...appendScripts,
  ...readScripts,
  ...orderScripts,
  ...zoneScripts,
  ...consumingScripts,
  ...lifetimeScripts,
};

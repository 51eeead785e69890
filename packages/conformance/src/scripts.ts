import { actorScripts } from "./scripts/actors.ts";
import { appendScripts } from "./scripts/append.ts";
import { consumingScripts } from "./scripts/consuming.ts";
import { deadLetterScripts } from "./scripts/dead-letters.ts";
import { lifetimeScripts } from "./scripts/lifetime.ts";
import { observerScripts } from "./scripts/observers.ts";
import { orderScripts } from "./scripts/order.ts";
import { readScripts } from "./scripts/read.ts";
import { sagaScripts } from "./scripts/sagas.ts";
import { zoneScripts } from "./scripts/zones.ts";
import { stormScripts } from "./scripts/storm.ts";
import type { Script } from "./script.ts";

/** Every script that a law spawns, by name. */
export const scripts: Readonly<Record<string, Script>> = {
  ...appendScripts,
  ...readScripts,
  ...orderScripts,
  ...stormScripts,
  ...zoneScripts,
  ...consumingScripts,
  ...observerScripts,
  ...sagaScripts,
  ...deadLetterScripts,
  ...actorScripts,
  ...lifetimeScripts,
};

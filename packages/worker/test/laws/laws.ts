import { changing } from "./changing.ts";
import { operating } from "./operating.ts";
import { sharing } from "./sharing.ts";
import type { WorkerLaw } from "./yard.ts";

/** What the worker promises over any store. */
export const laws: readonly WorkerLaw[] = [...sharing, ...changing, ...operating];

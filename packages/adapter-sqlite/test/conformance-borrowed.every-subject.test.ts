import { runConformance } from "@tidemark/conformance/vitest";
import { onOthers } from "./selection.ts";
import { borrowed } from "./subject.mjs";

runConformance(borrowed, { laws: onOthers });

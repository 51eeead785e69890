import { runConformance } from "@tidemark/conformance/vitest";
import { onOthers } from "./selection.ts";
import { prefixed } from "./subject.mjs";

runConformance(prefixed, { laws: onOthers });

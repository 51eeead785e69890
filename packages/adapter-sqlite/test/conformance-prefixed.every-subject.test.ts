import { runConformance } from "@tidemark/conformance/vitest";
import { prefixed } from "./subject.mjs";

runConformance(prefixed);

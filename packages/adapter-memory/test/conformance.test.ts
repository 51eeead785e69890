import { runConformance, runTeeth } from "@tidemark/conformance/vitest";
import { memory } from "./subject.mjs";

runConformance(memory);
runTeeth(memory);

import { runConformance } from "@tidemark/conformance/vitest";
import { inMemory } from "./subject.mjs";

runConformance(inMemory);

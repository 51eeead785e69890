import { runConformance } from "@tidemark/conformance/vitest";
import { memory } from "./subject.mjs";

runConformance(memory);

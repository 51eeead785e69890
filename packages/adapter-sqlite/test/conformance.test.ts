import { runConformance } from "@tidemark/conformance/vitest";
import { sqlite } from "./subject.mjs";

runConformance(sqlite);

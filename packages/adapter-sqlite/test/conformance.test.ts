import { runConformance } from "@tidemark/conformance/vitest";
import { subjects } from "./subject.mjs";

for (const subject of subjects) runConformance(subject);

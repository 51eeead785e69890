import { runTeeth } from "@tidemark/conformance/vitest";
import { subjects } from "./subject.mjs";

for (const subject of subjects.slice(0, 1)) runTeeth(subject);

import { runTeeth } from "@tidemark/conformance/vitest";
import { memory } from "./subject.mjs";

runTeeth(memory);

import { runTeeth } from "@tidemark/conformance/vitest";
import { sqlite } from "./subject.mjs";

runTeeth(sqlite);

import { runConformance } from "@tidemark/conformance/vitest";
import { borrowed } from "./subject.mjs";

runConformance(borrowed);

import { laws } from "@tidemark/conformance";
import { runTeeth } from "@tidemark/conformance/vitest";
import { sqlite } from "./subject.mjs";

/** The laws that memory cannot show to bite; the others bite there every time, and here where all is wanted. */
const notOfMemory = laws.filter(
  ({ when }) => when?.durable === true || when?.shared === true || when?.concurrentWriters === false,
);

runTeeth(sqlite, { laws: notOfMemory });

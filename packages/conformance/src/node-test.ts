import { describe, test } from "node:test";
import { bindConformance, bindTeeth, type ConformanceOptions, type Runner } from "./bind.ts";
import type { Subject } from "./subject.ts";

const runner: Runner = {
  describe: (name, body) => void describe(name, body),
  test: (name, body) => void test(name, body),
};

/** Runs the suite as node:test tests, one for each law. Call it in a test file. */
export function runConformance<Tx>(subject: Subject<Tx>, options?: ConformanceOptions): void {
  bindConformance(runner, subject, options);
}

/** Proves as node:test tests that each law catches a store that lies. */
export function runTeeth<Tx>(subject: Subject<Tx>, options?: Pick<ConformanceOptions, "laws">): void {
  bindTeeth(runner, subject, options);
}

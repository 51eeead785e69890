import { describe, test } from "vitest";
import { bindConformance, bindTeeth, type ConformanceOptions, type Runner } from "./bind.ts";
import type { Subject } from "./subject.ts";

const TIMEOUT_MS = 600_000;

const runner: Runner = { describe, test: (name, body) => test(name, { timeout: TIMEOUT_MS }, body) };

/** Runs the suite as vitest tests, one for each law. Call it in a test file. */
export function runConformance<Tx>(subject: Subject<Tx>, options?: ConformanceOptions): void {
  bindConformance(runner, subject, options);
}

/** Proves as vitest tests that each law catches a store that lies. */
export function runTeeth<Tx>(subject: Subject<Tx>, options?: Pick<ConformanceOptions, "laws">): void {
  bindTeeth(runner, subject, options);
}

import { AssertionError } from "node:assert";
import { type CheckOptions, checkLaw, checkTooth } from "./check.ts";
import { inapplicable } from "./law.ts";
import { laws as allLaws } from "./laws.ts";
import type { Subject } from "./subject.ts";

/** What a test runner offers: the part that vitest and node:test have in common. */
export interface Runner {
  describe(name: string, body: () => void): void;
  test(name: string, body: () => Promise<void>): void;
}

export type ConformanceOptions = Omit<CheckOptions, "onFinding">;

/** One test for each law that speaks of this subject, and one for its broken store. */
export function bindConformance<Tx>(runner: Runner, subject: Subject<Tx>, options: ConformanceOptions = {}): void {
  const laws = (options.laws ?? allLaws).filter((law) => inapplicable(law, subject) === undefined);
  runner.describe(`${subject.name} holds`, () => {
    for (const law of laws) {
      const deviation = options.deviations?.find((candidate) => candidate.law === law.id);
      const said = deviation === undefined ? law.promise : `deviates until ${deviation.until}: ${deviation.why}`;
      runner.test(`${law.id}: ${said}`, async () => {
        const finding = await checkLaw(law, subject, options.deviations);
        if (finding.kind === "fails") throw new AssertionError({ message: finding.how });
      });
    }
  });
}

/** One test for each law: it catches a store that lies. Run it on one real adapter at least. */
export function bindTeeth<Tx>(
  runner: Runner,
  subject: Subject<Tx>,
  options: Pick<ConformanceOptions, "laws"> = {},
): void {
  const laws = (options.laws ?? allLaws).filter((law) => inapplicable(law, subject) === undefined);
  runner.describe(`on ${subject.name}, the law`, () => {
    for (const law of laws) {
      runner.test(`${law.id} catches a store that ${law.tooth.lie}`, async () => {
        const complaint = await checkTooth(law, subject);
        if (complaint !== undefined) throw new AssertionError({ message: complaint });
      });
    }
  });
}

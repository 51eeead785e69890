import { AssertionError } from "node:assert";
import { inapplicable, judge, type Subject, type Verdict } from "@tidemark/conformance";
import { describe, test } from "vitest";
import { laws } from "./laws.ts";
import { asLaw, losePatience, type WorkerLaw } from "./yard.ts";

const TIMEOUT_MS = 90_000;

/** One test for each law. */
export function bindLaws<Tx>(subject: Subject<Tx>): void {
  describe(`workers on ${subject.name} hold`, () => {
    for (const law of lawsFor(subject)) {
      test(`${law.id}: ${law.promise}`, { timeout: TIMEOUT_MS }, async () => {
        const verdict = await judge(asLaw(law), subject);
        if (verdict.kind !== "holds") throw new AssertionError({ message: told(verdict) });
      });
    }
  });
}

/** One test for each law: it catches a worker that is broken. */
export function bindTeeth<Tx>(subject: Subject<Tx>, which: (law: WorkerLaw) => boolean = () => true): void {
  losePatience(3_000);
  describe(`on ${subject.name}, the law`, () => {
    for (const law of lawsFor(subject).filter(which)) {
      test.concurrent(`${law.id} catches a worker that ${law.tooth.lie}`, { timeout: TIMEOUT_MS }, async () => {
        const verdict = await judge(asLaw(law, true), subject, { timeoutMs: 30_000 });
        if (verdict.kind === "broken") return;
        throw new AssertionError({ message: `The law did not notice: ${told(verdict)}` });
      });
    }
  });
}

function lawsFor<Tx>(subject: Subject<Tx>): readonly WorkerLaw[] {
  return laws.filter((law) => inapplicable(asLaw(law), subject) === undefined);
}

function told(verdict: Verdict): string {
  switch (verdict.kind) {
    case "holds":
      return "the law holds.";
    case "broken":
      return `${verdict.how}\n${verdict.where}`;
    case "error":
      return verdict.error instanceof Error ? (verdict.error.stack ?? verdict.error.message) : String(verdict.error);
  }
}

import type { Subject } from "@tidemark/conformance";
import { test } from "vitest";
import { churn, type ChurnOptions } from "./churn.ts";

/** How long it lasts. Every day a little; `TIDEMARK_CHURN_SECONDS=600` for the real thing. */
const seconds = Number(process.env["TIDEMARK_CHURN_SECONDS"] ?? "10");
const seed = Number(process.env["TIDEMARK_CHURN_SEED"] ?? Date.now() % 1_000_000);

export function bindChurn<Tx>(subject: Subject<Tx>, freeze: ChurnOptions["freeze"]): void {
  const name = `four processes with sixteen segments survive ${seconds} s of kills and stops on ${subject.name} (seed ${seed})`;
  test(name, { timeout: seconds * 1_000 + 180_000 }, async () => {
    const result = await churn(subject, { seconds, seed, freeze });
    process.stdout.write(`churn on ${subject.name}: ${JSON.stringify(result)}\n`);
  });
}

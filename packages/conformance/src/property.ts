import { AssertionError } from "node:assert";
import { randomInt } from "node:crypto";
import process from "node:process";
import * as fc from "fast-check";

/** How many examples a property is tried with: `TIDEMARK_PROPERTY_RUNS`, default few, as each of them works on a database. */
const DEFAULT_RUNS = 12;

/**
 * `property` holds for every example. When it does not, the law is broken by the smallest example that was found, and says
 * which seed to repeat it with: `TIDEMARK_PROPERTY_SEED`.
 */
export async function forAll<Example>(
  examples: fc.Arbitrary<Example>,
  property: (example: Example) => Promise<void>,
  /** Tried first: it tells a broken store, whatever is drawn after it. */
  telling: readonly Example[] = [],
): Promise<void> {
  const seed = Number(process.env["TIDEMARK_PROPERTY_SEED"] ?? randomInt(2 ** 31));
  const numRuns = Number(process.env["TIDEMARK_PROPERTY_RUNS"] ?? DEFAULT_RUNS);
  const found = await fc.check(fc.asyncProperty(examples, property), {
    seed,
    numRuns,
    examples: telling.map((example) => [example]),
  });
  if (!found.failed) return;
  const { errorInstance: error, counterexample } = found;
  const said = error instanceof Error ? error.message : String(error);
  const message =
    `${said}\nThe example: ${JSON.stringify(counterexample?.[0])}\n` +
    `To try it again: TIDEMARK_PROPERTY_SEED=${seed} TIDEMARK_PROPERTY_RUNS=${numRuns}`;
  if (error instanceof AssertionError) throw new AssertionError({ message });
  throw new Error(message, { cause: error });
}

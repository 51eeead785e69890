import { describe, it } from "vitest";
import { requiredServers } from "../required.ts";
import { explainGalera } from "./programs.ts";

/**
 * Tests that start a cluster of their own. Where none can be started, there is one test in their place whose name says why
 * and how to change that: skipped, or failing if `TIDEMARK_REQUIRE` lists `galera`.
 */
export function describeWithGalera(define: () => void | Promise<void>): void {
  const missing = explainGalera();
  describe("on galera", () => {
    if (missing === undefined) return define();
    return requiredServers().has("galera")
      ? it("galera is there, as TIDEMARK_REQUIRE demands", () => {
          throw new Error(missing);
        })
      : it.skip(`not tested: ${missing}`, () => {});
  });
}

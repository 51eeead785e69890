import { laws } from "@tidemark/conformance";
import { runConformance } from "@tidemark/conformance/vitest";
import { createDatabase } from "@tidemark/test-servers";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { afterAll } from "vitest";
import { createSubject } from "./subject.mjs";

/** What the ordering has a hand in. The other laws are run on it with every subject. */
const ofOrdering = laws.filter(({ id }) => /^(append|order|read)\//.test(id));

describeWithServer("postgres", async (server) => {
  const database = await createDatabase(server.url);
  afterAll(() => database.drop());
  const subject = createSubject("postgres, counter", database.url, { settings: { ordering: "counter" } });
  runConformance(subject, { laws: ofOrdering });
});

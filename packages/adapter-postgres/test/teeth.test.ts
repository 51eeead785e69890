import { laws } from "@tidemark/conformance";
import { runConformance, runTeeth } from "@tidemark/conformance/vitest";
import { createDatabase } from "@tidemark/test-servers";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { afterAll } from "vitest";
import { createSubject } from "./subject.mjs";

/** The laws that neither memory nor SQLite can show to bite. */
const ofServers = laws.filter(({ when }) => when?.server === true || when?.wakeups === true);

describeWithServer("postgres", async (server) => {
  const database = await createDatabase(server.url);
  afterAll(() => database.drop());
  const subject = createSubject("postgres, notify", database.url, { settings: { notify: true } });
  runTeeth(subject, { laws: ofServers });
  runConformance(subject, { laws: laws.filter(({ when }) => when?.wakeups === true) });
});

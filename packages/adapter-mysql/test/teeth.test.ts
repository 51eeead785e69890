import { laws } from "@tidemark/conformance";
import { runTeeth } from "@tidemark/conformance/vitest";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { afterAll } from "vitest";
import { createSubject } from "./subject.mjs";

/** The laws that neither memory nor SQLite can show to bite. */
const ofServers = laws.filter(({ when }) => when?.server === true || when?.transactionalDdl === false);

describeWithServer("mysql", (server) => {
  const subject = createSubject("mysql", server.url);
  afterAll(() => subject.end());
  runTeeth(subject, { laws: ofServers });
});

import type { Deviation } from "@tidemark/conformance";
import { runConformance } from "@tidemark/conformance/vitest";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { afterAll } from "vitest";
import { onOthers } from "./selection.ts";
import { createSubject } from "./subject.mjs";

const deviations: readonly Deviation[] = [
  {
    law: "append/batch/caller-holds/own-transaction",
    how: /kept a lock for longer than the call may wait/,
    why: "The driver does not know whether a caller's transaction is still open, so an append beside it waits, and is BUSY.",
    until: "mysql2 tells the state of a connection's transaction.",
  },
];

describeWithServer("mariadb", (server) => {
  const subject = createSubject("mariadb, counter", server.url, { settings: { ordering: "counter" } });
  afterAll(() => subject.end());
  runConformance(subject, { laws: onOthers, deviations });
});

import { runConformance } from "@tidemark/conformance/vitest";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { afterAll } from "vitest";
import { onOthers } from "./selection.ts";
import { createSubject } from "./subject.mjs";

describeWithServer("mariadb-oldest", (server) => {
  const subject = createSubject(`mariadb ${server.version}`, server.url);
  afterAll(() => subject.end());
  runConformance(subject, { laws: onOthers });
});

import { runConformance } from "@tidemark/conformance/vitest";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { afterAll } from "vitest";
import { onOthers } from "./selection.ts";
import { createSubject } from "./subject.mjs";

describeWithServer("mysql-oldest", (server) => {
  const subject = createSubject(`mysql ${server.version}`, server.url);
  afterAll(() => subject.end());
  runConformance(subject, { laws: onOthers });
});

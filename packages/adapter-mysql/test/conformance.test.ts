import { runConformance } from "@tidemark/conformance/vitest";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { afterAll } from "vitest";
import { onDefaults } from "./selection.ts";
import { createSubject } from "./subject.mjs";

describeWithServer("mysql", (server) => {
  const subject = createSubject("mysql", server.url);
  afterAll(() => subject.end());
  runConformance(subject, { laws: onDefaults });
});

import { runConformance } from "@tidemark/conformance/vitest";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { afterAll } from "vitest";
import { createSubject } from "./subject.mjs";

describeWithServer("mariadb", (server) => {
  const subject = createSubject("mariadb", server.url);
  afterAll(() => subject.end());
  runConformance(subject);
});

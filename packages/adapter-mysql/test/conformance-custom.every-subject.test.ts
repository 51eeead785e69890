import { runConformance } from "@tidemark/conformance/vitest";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { afterAll } from "vitest";
import { onOthers } from "./selection.ts";
import { createSubject } from "./subject.mjs";

describeWithServer("mysql", (server) => {
  const subject = createSubject("mysql, custom prefix, borrowed pool", server.url, {
    prefix: "Order_",
    borrowed: true,
  });
  afterAll(() => subject.end());
  runConformance(subject, { laws: onOthers });
});

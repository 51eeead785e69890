import { runConformance } from "@tidemark/conformance/vitest";
import { createDatabase } from "@tidemark/test-servers";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { afterAll } from "vitest";
import { onCounter } from "./selection.ts";
import { createSubject } from "./subject.mjs";

describeWithServer("postgres", async (server) => {
  const database = await createDatabase(server.url);
  afterAll(() => database.drop());
  const subject = createSubject("postgres, counter", database.url, { settings: { ordering: "counter" } });
  runConformance(subject, { laws: onCounter });
});

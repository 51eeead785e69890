import { runConformance } from "@tidemark/conformance/vitest";
import { createDatabase } from "@tidemark/test-servers";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { afterAll } from "vitest";
import { onOthers } from "./selection.ts";
import { createSubject } from "./subject.mjs";

describeWithServer("postgres", async (server) => {
  const database = await createDatabase(server.url);
  afterAll(() => database.drop());
  runConformance(
    createSubject("postgres, custom schema, borrowed pool, notify, no prepared statements", database.url, {
      prefix: "order",
      borrowed: true,
      settings: { notify: true, preparedStatements: false },
    }),
    { laws: onOthers },
  );
});

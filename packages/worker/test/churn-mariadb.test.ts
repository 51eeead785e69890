import { describeWithServer } from "@tidemark/test-servers/vitest";
import { afterAll } from "vitest";
import { bindChurn } from "./churn/bind.ts";
import { createMysqlSubject } from "./subjects.mjs";

describeWithServer("mariadb", ({ url }) => {
  const subject = createMysqlSubject("mariadb", url);
  afterAll(() => subject.end());
  bindChurn(subject, "anywhere");
});

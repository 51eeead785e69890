import { describeWithServer } from "@tidemark/test-servers/vitest";
import { afterAll } from "vitest";
import { bindLaws } from "./laws/bind.ts";
import { createMysqlSubject } from "./subjects.mjs";

describeWithServer("mariadb", ({ url }) => {
  const subject = createMysqlSubject("mariadb", url);
  afterAll(() => subject.end());
  bindLaws(subject);
});

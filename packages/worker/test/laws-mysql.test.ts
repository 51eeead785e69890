import { describeWithServer } from "@tidemark/test-servers/vitest";
import { afterAll } from "vitest";
import { bindLaws } from "./laws/bind.ts";
import { createMysqlSubject } from "./subjects.mjs";

describeWithServer("mysql", ({ url }) => {
  const subject = createMysqlSubject("mysql", url);
  afterAll(() => subject.end());
  bindLaws(subject);
});

import { describeWithServer } from "@tidemark/test-servers/vitest";
import { bindLaws } from "./laws/bind.ts";
import { createPostgresSubject } from "./subjects.mjs";

describeWithServer("postgres", ({ url }) => bindLaws(createPostgresSubject("postgres", url)));

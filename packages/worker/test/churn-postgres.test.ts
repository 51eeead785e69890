import { describeWithServer } from "@tidemark/test-servers/vitest";
import { bindChurn } from "./churn/bind.ts";
import { createPostgresSubject } from "./subjects.mjs";

describeWithServer("postgres", ({ url }) => bindChurn(createPostgresSubject("postgres", url), "anywhere"));

import { describeWithServer } from "@tidemark/test-servers/vitest";
import { bindTeeth } from "./laws/bind.ts";
import { createPostgresSubject } from "./subjects.mjs";

// Those that speak of servers only; the others are caught in memory.
describeWithServer("postgres", ({ url }) =>
  bindTeeth(createPostgresSubject("postgres", url), ({ when }) => when?.server === true),
);

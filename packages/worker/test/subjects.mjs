// @ts-check
/** What the worker's laws are judged on: the subjects of the adapters' own tests. */
export { memory } from "../../adapter-memory/test/subject.mjs";
export { createSubject as createMysqlSubject } from "../../adapter-mysql/test/subject.mjs";
export { createSubject as createPostgresSubject } from "../../adapter-postgres/test/subject.mjs";
export { sqlite } from "../../adapter-sqlite/test/subject.mjs";

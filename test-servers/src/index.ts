export { createDatabase, type FreshDatabase } from "./database.ts";
export { explain, findServer, type FindOptions } from "./find.ts";
export { freePort } from "./ports.ts";
export type { Found, Missing, Source, TestServer, Tried } from "./server.ts";

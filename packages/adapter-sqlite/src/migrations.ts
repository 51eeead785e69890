import type { Migration } from "@tidemark/sql-kit";
import { log } from "./migrations/1-log.ts";
import { sagas } from "./migrations/2-sagas.ts";
import { versions } from "./migrations/3-versions.ts";
import { actors } from "./migrations/4-actors.ts";

/** Released migrations are never edited; a change of the schema is a new one. Written with the default prefix. */
export const MIGRATIONS: readonly Migration[] = [log, sagas, versions, actors];

export const SCHEMA_VERSION: number = MIGRATIONS.length;

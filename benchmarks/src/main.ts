import { appendToSqlite } from "./append-sqlite.ts";
import { printComparison } from "./compare.ts";

/**
 * Every figure is a ratio against the raw driver, which does the same work in the same run: absolute numbers say more
 * about the machine than about the library.
 */
for (const comparison of await appendToSqlite()) printComparison(comparison);

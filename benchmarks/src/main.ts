import { appendToPostgres } from "./append-postgres.ts";
import { appendToSqlite } from "./append-sqlite.ts";
import { printComparison } from "./compare.ts";

/**
 * Every figure is a ratio against the raw driver, which does the same work in the same run: absolute numbers say more
 * about the machine than about the library. Names of databases as arguments run those only: `npm run bench -- postgres`.
 */
const benchmarks = { sqlite: appendToSqlite, postgres: appendToPostgres };

const wanted = process.argv.slice(2);
for (const [name, run] of Object.entries(benchmarks)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  for (const comparison of await run()) printComparison(comparison);
}

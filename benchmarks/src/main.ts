import { appendToMariadb, appendToMysql } from "./append-mysql.ts";
import { appendToPostgres } from "./append-postgres.ts";
import { appendToSqlite } from "./append-sqlite.ts";
import { catchUpOnPostgres } from "./catch-up-postgres.ts";
import { type Comparison, printComparison } from "./compare.ts";

/**
 * Every figure is a ratio against the raw driver, which does the same work in the same run: absolute numbers say more
 * about the machine than about the library. Names of databases as arguments run those only: `npm run bench -- postgres`.
 */
const benchmarks: Readonly<Record<string, readonly (() => Promise<readonly Comparison[]>)[]>> = {
  sqlite: [appendToSqlite],
  postgres: [appendToPostgres, catchUpOnPostgres],
  mysql: [appendToMysql],
  mariadb: [appendToMariadb],
};

const wanted = process.argv.slice(2);
for (const [name, runs] of Object.entries(benchmarks)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  for (const run of runs) {
    for (const comparison of await run()) printComparison(comparison);
  }
}

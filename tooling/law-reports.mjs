// @ts-check
import { checkConformance, inapplicable, laws } from "@tidemark/conformance";
import { createDatabase, explain, findServer } from "@tidemark/test-servers";
import { memory } from "../packages/adapter-memory/test/subject.mjs";
import { createSubject as createMysqlSubject } from "../packages/adapter-mysql/test/subject.mjs";
import { createSubject as createPostgresSubject } from "../packages/adapter-postgres/test/subject.mjs";
import { sqlite } from "../packages/adapter-sqlite/test/subject.mjs";

/** @typedef {import("@tidemark/conformance").Finding} Finding */

/** @typedef {import("@tidemark/conformance").Law} Law */

/** @typedef {import("@tidemark/conformance").Report} Report */

/**
 * What vitest says of one test. The law is what its title begins with.
 *
 * @typedef {{ status: string; title: string; ancestorTitles: string[]; failureMessages: string[] }} TestResult
 */

/**
 * Judges each adapter in its default settings, on the servers that can be found.
 *
 * @returns {Promise<Report[]>}
 */
export async function judgeAdapters() {
  const servers = { postgres: await find("postgres"), mysql: await find("mysql"), mariadb: await find("mariadb") };
  const database = await createDatabase(servers.postgres.url);
  const onMysql = createMysqlSubject("mysql", servers.mysql.url);
  const onMariadb = createMysqlSubject("mariadb", servers.mariadb.url);
  // One after the other: a law may keep the machine busy, and nothing shall hang because another did.
  const reports = [
    await report(memory),
    await report(sqlite),
    await report(createPostgresSubject("postgres", database.url)),
    await report(onMysql),
    await report(onMariadb),
  ];
  await database.drop();
  await onMysql.end();
  await onMariadb.end();
  for (const server of Object.values(servers)) await server.stop();
  return reports;
}

/** The tables have a column for each adapter, so none can be left out. @param {string} name */
async function find(name) {
  const answer = await findServer(name);
  if (answer.kind === "missing") throw new Error(explain(answer));
  return answer.server;
}

/**
 * @template Tx
 * @param {import("@tidemark/conformance").Subject<Tx>} subject
 */
function report(subject) {
  console.log(`Judging ${subject.name} …`);
  return checkConformance(subject);
}

/**
 * The same from vitest's report of a run with every subject.
 *
 * @param {{ testResults: { assertionResults: TestResult[] }[] }} run
 * @returns {Report[]}
 */
export function readReports({ testResults }) {
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  // They are asked what they are able to, and connected to nothing.
  const subjects = [
    memory,
    sqlite,
    createPostgresSubject("postgres", "postgres://unused"),
    createMysqlSubject("mysql", "mysql://unused"),
    createMysqlSubject("mariadb", "mysql://unused"),
  ];
  return subjects.map((subject) => {
    const own = tests.filter(({ ancestorTitles }) => ancestorTitles.at(-1) === `${subject.name} holds`);
    const results = new Map(own.map((test) => [test.title.slice(0, test.title.indexOf(": ")), test]));
    const findings = laws.map((law) => finding(law, inapplicable(law, subject), results.get(law.id)));
    return { subject: subject.name, conforms: findings.every(({ kind }) => kind !== "fails"), findings };
  });
}

/**
 * @param {Law} law
 * @param {string | undefined} capability
 * @param {TestResult | undefined} test
 * @returns {Finding}
 */
function finding({ id: law, promise }, capability, test) {
  if (capability !== undefined) return { law, promise, kind: "not-applicable", capability };
  if (test?.status === "passed") {
    const [, until, why] = /: deviates until (.*?): (.*)/s.exec(test.title) ?? [];
    if (until !== undefined && why !== undefined) return { law, promise, kind: "deviates", until, why };
    return { law, promise, kind: "holds" };
  }
  return { law, promise, kind: "fails", how: test?.failureMessages.join("\n") ?? "It was not judged in this run." };
}
